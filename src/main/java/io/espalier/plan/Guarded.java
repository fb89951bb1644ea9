package io.espalier.plan;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Protections;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Violation;

/**
 * The protections of an order, looked up in a model.
 *
 * @param whole the experts that keep all their atoms
 * @param atoms the atoms that stay, by the ordinals of their experts; none of an expert that stays whole
 * @param minWidth atoms that every expert keeps at least; 0 where nobody said
 */
record Guarded(boolean[] whole, Map<Integer, List<Integer>> atoms, int minWidth) {

    private record Place(int layer, int expert) {}

    /** @throws PruningException {@code INVALID_RECIPE} with every layer, expert and atom that is not there */
    static Guarded of(Protections protections, List<ExpertScores> experts) {
        List<Violation> wrong = new ArrayList<>();
        Map<Place, Integer> ordinals = new HashMap<>();
        for (int e = 0; e < experts.size() && !protections.experts().isEmpty(); e++) {
            ordinals.put(new Place(experts.get(e).layer(), experts.get(e).expert()), e);
        }
        boolean[] whole = new boolean[experts.size()];
        for (int i = 0; i < protections.layers().size(); i++) {
            int layer = protections.layers().get(i);
            boolean found = false;
            for (int e = 0; e < whole.length; e++) {
                whole[e] |= experts.get(e).layer() == layer;
                found |= experts.get(e).layer() == layer;
            }
            if (!found) {
                wrong.add(new Violation("protections.layers[" + i + "]", String.valueOf(layer), "a layer with routed experts, one of "
                        + experts.stream().map(ExpertScores::layer).distinct().map(String::valueOf).collect(Collectors.joining(", "))));
            }
        }
        Map<Integer, List<Integer>> atoms = new TreeMap<>();
        for (int i = 0; i < protections.experts().size(); i++) {
            Protections.Expert one = protections.experts().get(i);
            String at = "protections.experts[" + i + "]";
            Integer e = ordinals.get(new Place(one.layer(), one.expert()));
            if (e == null) {
                wrong.add(new Violation(at, "layer " + one.layer() + ", expert " + one.expert(), "a routed expert of the model"));
            } else if (one.atoms() == null) {
                whole[e] = true;
            } else {
                atoms.computeIfAbsent(e, none -> new ArrayList<>()).addAll(there(one.atoms(), at, experts.get(e), wrong));
            }
        }
        int minWidth = protections.minWidth() == null ? 0 : protections.minWidth();
        experts.stream().filter(expert -> expert.scores().length < minWidth).findFirst()
                .ifPresent(narrow -> wrong.add(new Violation("protections.min_width", String.valueOf(minWidth), "at most "
                        + narrow.scores().length + ", the width of layer " + narrow.layer() + ", expert " + narrow.expert())));
        if (!wrong.isEmpty()) {
            throw new PruningException(ErrorCode.INVALID_RECIPE, wrong);
        }
        atoms.keySet().removeIf(e -> whole[e]);
        return new Guarded(whole, atoms, minWidth);
    }

    private static List<Integer> there(List<Integer> atoms, String at, ExpertScores expert, List<Violation> wrong) {
        List<Integer> there = new ArrayList<>();
        for (int j = 0; j < atoms.size(); j++) {
            int atom = atoms.get(j);
            if (atom < 0 || atom >= expert.scores().length) {
                wrong.add(new Violation(at + ".atoms[" + j + "]", String.valueOf(atom),
                        "at least 0 and less than " + expert.scores().length + ", the expert's width"));
            } else {
                there.add(atom);
            }
        }
        return there;
    }

    /** The scores in units of so many atoms, the protected ones above all others of their expert. */
    RankedScores.InUnits inUnits(RankedScores scores, int step) {
        return atoms.isEmpty() ? scores.inUnitsOf(step) : scores.inUnitsOf(step, scores.raised(atoms));
    }

    /** Whether nothing keeps an expert from losing all but what every expert keeps. */
    boolean nothing() {
        return minWidth == 0 && atoms.isEmpty() && !anyWhole();
    }

    boolean anyWhole() {
        for (boolean one : whole) {
            if (one) {
                return true;
            }
        }
        return false;
    }

    /**
     * The least that every expert keeps in a ragged layout, in units.
     *
     * @param ranked with the protected atoms above all others
     * @param spared units that an expert keeps whether protected or not
     * @throws PruningException {@code INVALID_RECIPE} where what is protected is not a whole number of units
     */
    int[] units(OwnRankings ranked, int spared) {
        int[] units = new int[whole.length];
        for (int e = 0; e < units.length; e++) {
            int width = width(e, ranked);
            units[e] = width == 0 ? spared : Math.max(spared, ranked.unitsFor(e, width));
            if (units[e] > ranked.units(e)) {
                throw uneven(e, ranked, ranked.widthOf(e, ranked.units(e)), "alignment and source blocks let this expert be");
            }
        }
        return units;
    }

    /** The least that expert {@code e} keeps, atoms. */
    int width(int e, OwnRankings ranked) {
        return whole[e] ? ranked.width(e) : Math.max(minWidth, atoms.containsKey(e) ? ranked.widthFrom(e, atoms.get(e)) : 0);
    }

    /** @throws PruningException {@code INVALID_RECIPE} where one width in whole source blocks leaves a protected atom out */
    void requireKept(Stay stay) {
        atoms.forEach((e, staying) -> {
            if (!stay.keeps(e, staying)) {
                throw new PruningException(ErrorCode.INVALID_RECIPE, List.of(new Violation("protections.experts", "atoms of expert ordinal "
                        + e, "none in the last, smaller source block of an expert, which one width for all keeps everywhere or nowhere")));
            }
        });
    }

    /** What is protected of expert {@code e} is wider than it can be. */
    PruningException uneven(int e, OwnRankings ranked, int widest, String why) {
        ExpertScores expert = ranked.experts().get(e);
        int width = width(e, ranked);
        String field = width == minWidth && !whole[e] ? "protections.min_width" : whole[e] ? "protections.layers" : "protections.experts";
        return new PruningException(ErrorCode.INVALID_RECIPE, List.of(new Violation(field, width + " atoms of layer " + expert.layer()
                + ", expert " + expert.expert(), "at most " + widest + ", the widest that " + why)));
    }
}

package io.espalier.plan;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import io.espalier.plan.Allocation.Granularity;

/** The ragged allocation as one would explain it: lists of objects, sorted by comparators, one competition after the other. */
final class SlowAllocation {

    private record Atom(int expert, int index, double score) {}

    private record Unit(int expert, List<Atom> atoms) {
        double mean() {
            return atoms.stream().mapToDouble(Atom::score).sum() / atoms.size();
        }
    }

    private SlowAllocation() {}

    /** Kept atoms by (layer, expert), or {@code null} when the budget cannot be reached. Costs are the experts' parameters per atom. */
    static List<List<Integer>> kept(Allocation order, List<ExpertScores> experts, BigDecimal costToRemove) {
        long allCost = IntStream.range(0, experts.size()).filter(e -> !whole(order, experts.get(e)))
                .mapToLong(e -> experts.get(e).parametersPerAtom() * experts.get(e).scores().length).sum();
        Map<Integer, List<Unit>> left = new TreeMap<>();
        Map<Object, List<Integer>> competitions = new LinkedHashMap<>();
        for (int e = 0; e < experts.size(); e++) {
            left.put(e, units(e, experts.get(e), order));
            Object competition = switch (order.scope()) {
                case GLOBAL -> "model";
                case LAYER -> experts.get(e).layer();
                case EXPERT -> "expert " + e;
            };
            competitions.computeIfAbsent(competition, any -> new ArrayList<>()).add(e);
        }
        for (List<Integer> members : competitions.values()) {
            long cost = members.stream().filter(e -> !whole(order, experts.get(e)))
                    .mapToLong(e -> experts.get(e).parametersPerAtom() * experts.get(e).scores().length).sum();
            // removed / cost >= costToRemove / allCost, without a division
            BigDecimal threshold = costToRemove.multiply(BigDecimal.valueOf(cost));
            List<List<Unit>> candidates = candidates(order, experts, members, left);
            if (allCost == 0) {
                return null;
            }
            while (BigDecimal.valueOf(removed(experts, members, left)).multiply(BigDecimal.valueOf(allCost)).compareTo(threshold) < 0) {
                if (candidates.isEmpty()) {
                    return null;
                }
                List<Unit> going = candidates.removeFirst();
                left.get(going.getFirst().expert).removeAll(going);
            }
        }
        return left.values().stream()
                .map(units -> units.stream().flatMap(unit -> unit.atoms.stream()).map(Atom::index).sorted().toList()).toList();
    }

    private static boolean whole(Allocation order, ExpertScores expert) {
        return order.protections().layers().contains(expert.layer()) || order.protections().experts().stream()
                .anyMatch(one -> one.layer() == expert.layer() && one.expert() == expert.expert() && one.atoms() == null);
    }

    private static Set<Integer> protectedAtoms(Allocation order, ExpertScores expert) {
        return order.protections().experts().stream()
                .filter(one -> one.layer() == expert.layer() && one.expert() == expert.expert() && one.atoms() != null)
                .flatMap(one -> one.atoms().stream()).collect(Collectors.toSet());
    }

    /** Units, worst first, of which the last so many have to stay. */
    private static int floor(Allocation order, ExpertScores expert, List<Unit> units) {
        if (whole(order, expert)) {
            return units.size();
        }
        Set<Integer> staying = protectedAtoms(order, expert);
        int floor = order.allowEmptyExperts() ? 0 : 1;
        for (int keep = units.size(); keep > 0; keep--) {
            List<Integer> going = units.subList(0, units.size() - keep + 1).stream().flatMap(unit -> unit.atoms.stream()).map(Atom::index)
                    .toList();
            boolean losesOne = going.stream().anyMatch(staying::contains);
            int width = units.subList(units.size() - keep + 1, units.size()).stream().mapToInt(unit -> unit.atoms.size()).sum();
            boolean tooNarrow = order.protections().minWidth() != null && width < order.protections().minWidth();
            if (losesOne || tooNarrow) {
                return Math.max(floor, keep);
            }
        }
        return floor;
    }

    private static List<Unit> units(int e, ExpertScores expert, Allocation order) {
        int alignment = order.alignment();
        int block = order.sourceBlock();
        Set<Integer> staying = protectedAtoms(order, expert);
        List<Atom> atoms = new ArrayList<>();
        for (int k = 0; k < expert.scores().length; k++) {
            atoms.add(new Atom(e, k, staying.contains(k)
                    ? Double.POSITIVE_INFINITY
                    : staying.isEmpty() ? expert.scores()[k] : Math.min(expert.scores()[k], RankedScores.ABOVE_MEASURED)));
        }
        atoms.sort(Comparator.comparingDouble(Atom::score).thenComparingInt(Atom::index));
        if (block > 1) {
            atoms.sort(Comparator.comparingInt(Atom::index));
            return blocks(e, atoms, alignment, block);
        }
        List<Unit> units = new ArrayList<>();
        for (int at = atoms.size() % alignment; at < atoms.size(); at += alignment) {
            units.add(new Unit(e, atoms.subList(at, at + alignment)));
        }
        return units;
    }

    /** Whole blocks of atoms that stand in order, as many a unit as the alignment needs. */
    private static List<Unit> blocks(int e, List<Atom> atoms, int alignment, int block) {
        List<Unit> blocks = new ArrayList<>();
        for (int at = 0; at < atoms.size(); at += block) {
            blocks.add(new Unit(e, atoms.subList(at, Math.min(at + block, atoms.size()))));
        }
        int together = 1;
        while (together * block % alignment != 0) {
            together++;
        }
        int blocksInUnit = together;
        blocks.removeIf(b -> b.atoms.size() < block && (blocksInUnit > 1 || b.atoms.size() % alignment != 0));
        blocks.sort(Comparator.comparingDouble(Unit::mean));
        List<Unit> units = new ArrayList<>();
        for (int at = blocks.size() % together; at < blocks.size(); at += together) {
            units.add(new Unit(e, blocks.subList(at, at + together).stream().flatMap(b -> b.atoms.stream()).toList()));
        }
        return units;
    }

    /** What may go, in the order in which it goes. */
    private static List<List<Unit>> candidates(Allocation order, List<ExpertScores> experts, List<Integer> members,
            Map<Integer, List<Unit>> left) {
        List<List<Unit>> candidates = new ArrayList<>();
        List<List<Unit>> removable = new ArrayList<>();
        for (int e : members) {
            List<Unit> units = left.get(e);
            removable.add(List.copyOf(units.subList(0, Math.max(0, units.size() - floor(order, experts.get(e), units)))));
        }
        if (order.granularity() == Granularity.EXPERT) {
            Map<Integer, Double> means = members.stream()
                    .collect(Collectors.toMap(e -> e, e -> Arrays.stream(experts.get(e).scores()).average().orElseThrow()));
            removable.stream().filter(units -> !units.isEmpty())
                    .sorted(Comparator.comparingDouble((List<Unit> units) -> means.get(units.getFirst().expert))).forEach(candidates::add);
        } else {
            removable.stream().flatMap(List::stream).sorted(Comparator.comparingDouble(Unit::mean))
                    .forEach(unit -> candidates.add(List.of(unit)));
        }
        return candidates;
    }

    private static long removed(List<ExpertScores> experts, List<Integer> members, Map<Integer, List<Unit>> left) {
        return members.stream().mapToLong(e -> experts.get(e).parametersPerAtom()
                * (experts.get(e).scores().length - left.get(e).stream().mapToInt(unit -> unit.atoms.size()).sum())).sum();
    }
}

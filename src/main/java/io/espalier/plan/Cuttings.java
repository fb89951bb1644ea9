package io.espalier.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.IntStream;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.checkpoint.Scales;
import io.espalier.checkpoint.Slab;
import io.espalier.checkpoint.StoredMatrix;
import io.espalier.checkpoint.Tensor;

/**
 * What stands in the place of each expert tensor after the cut, in the source's dialect: one narrower tensor. Only a fused tensor whose experts come to
 * several widths cannot be one tensor any more; its matrices then stand alone, under the names of the architecture's classical dialect. Of an expert that
 * goes whole nothing stays; those after it move up in number, and so do the rows of the router.
 */
final class Cuttings {

    /** A tensor to be written: some matrices, one below the other. */
    record Cutting(Declared declared, List<Gather> gathers) {}

    /** @param alone the name of the matrix where it stands by itself */
    private record Taken(Slab slab, String alone, Gather gather) {}

    private final Checkpoint source;
    private final Map<String, List<Taken>> taken = new LinkedHashMap<>();
    /** Rows of expert tensors that go with their experts. */
    private final Map<String, Long> dropped = new LinkedHashMap<>();
    private final Map<String, List<Cutting>> cuttings = new LinkedHashMap<>();
    private final TreeSet<Integer> unfused = new TreeSet<>();

    /**
     * @param perExpert by layer, the tensors that have one row, or one number, for each expert: the router's weight and the like
     * @throws IllegalArgumentException when plan, experts and source do not belong together
     * @throws io.espalier.recipe.PruningException {@code FP8_ALIGNMENT} when scales could not say what is kept
     */
    Cuttings(Checkpoint source, KeepPlan plan, List<ExpertTensors> experts, Map<Integer, List<String>> perExpert) {
        this.source = source;
        List<KeepPlan.Expert> kept = plan.experts();
        if (kept.size() != experts.size()) {
            throw new IllegalArgumentException("plan: " + kept.size() + " experts (expected: the model's " + experts.size() + ")");
        }
        Map<Integer, Integer> widths = new LinkedHashMap<>();
        Map<Integer, List<Integer>> remaining = new LinkedHashMap<>();
        for (int e = 0; e < experts.size(); e++) {
            ExpertTensors expert = experts.get(e);
            KeepPlan.Expert keep = kept.get(e);
            if (keep.layer() != expert.layer() || keep.expert() != expert.expert() || keep.width() != expert.width()) {
                throw new IllegalArgumentException("plan: layer " + keep.layer() + ", expert " + keep.expert() + ", width " + keep.width()
                        + " (expected: layer " + expert.layer() + ", expert " + expert.expert() + ", width " + expert.width() + ")");
            }
            List<Integer> ofLayer = remaining.computeIfAbsent(expert.layer(), _ -> new ArrayList<>());
            if (keep.removed()) {
                drop(expert);
                continue;
            }
            take(expert, ofLayer.size(), keep.kept());
            ofLayer.add(expert.expert());
            Integer first = widths.putIfAbsent(expert.layer(), keep.keptWidth());
            if (expert.fused() && first != null && first != keep.keptWidth()) {
                unfused.add(expert.layer());
            }
        }
        taken.forEach((name, parts) -> cuttings.put(name, cut(source.tensor(name), parts)));
        dropped.keySet().forEach(name -> cuttings.putIfAbsent(name, List.of()));
        remaining.forEach((layer, numbers) -> {
            if (kept.stream().anyMatch(expert -> expert.layer() == layer && expert.removed())) {
                if (!perExpert.containsKey(layer)) {
                    throw new IllegalArgumentException("layer " + layer + ": no router named (expected: its tensors, experts of it go)");
                }
                perExpert.get(layer).forEach(name -> rows(name, numbers));
            }
        });
    }

    /** What stands in the tensor's place, nothing where its experts all go; {@code null} for a tensor that is copied. */
    List<Cutting> of(String tensor) {
        return cuttings.get(tensor);
    }

    /** Layers whose fused tensors the cut takes apart, ascending. */
    List<Integer> unfused() {
        return List.copyOf(unfused);
    }

    private void take(ExpertTensors expert, int number, int[] kept) {
        take(expert.gate(), expert.renumbered(expert.gate().alone(), number), 0, kept);
        take(expert.up(), expert.renumbered(expert.up().alone(), number), 0, kept);
        take(expert.down(), expert.renumbered(expert.down().alone(), number), 1, kept);
    }

    private void take(Slab slab, String alone, int axis, int[] kept) {
        requireShape(slab);
        StoredMatrix matrix = source.matrix(slab);
        taken.computeIfAbsent(slab.tensor(), _ -> new ArrayList<>()).add(new Taken(slab, alone, new Gather(matrix, axis, kept)));
        Scales scales = matrix.scales();
        if (scales != null) {
            String name = scales.tensor().name();
            StoredMatrix grid = source.matrix(name);
            // why all: a scale a row is a scale for each output, and down keeps its outputs
            int[] lines = scales.inBlocks() ? ScaleBlocks.of(slab.tensor(), scales, axis, kept) : axis == 0 ? kept : all(grid.rows());
            Gather gather = new Gather(grid, scales.inBlocks() ? axis : 0, lines);
            taken.computeIfAbsent(name, _ -> new ArrayList<>())
                    .add(new Taken(Slab.whole(name, grid.rows(), grid.columns()), alone + name.substring(slab.tensor().length()), gather));
        }
    }

    private static int[] all(int count) {
        return IntStream.range(0, count).toArray();
    }

    private void drop(ExpertTensors expert) {
        for (Slab slab : List.of(expert.gate(), expert.up(), expert.down())) {
            requireShape(slab);
            dropped.merge(slab.tensor(), (long) slab.rows(), Long::sum);
            Scales scales = source.matrix(slab).scales();
            if (scales != null) {
                dropped.merge(scales.tensor().name(), scales.tensor().dim(0), Long::sum);
            }
        }
    }

    private void requireShape(Slab slab) {
        Tensor tensor = source.tensor(slab.tensor());
        if (!tensor.shape().equals(slab.shape())) {
            throw new IllegalArgumentException(slab.tensor() + ": shape " + tensor.shape() + " (expected: " + slab.shape() + ")");
        }
    }

    /** The rows of a tensor that belong to the experts that stay. */
    private void rows(String name, List<Integer> numbers) {
        Tensor tensor = source.tensor(name);
        int[] kept = numbers.stream().mapToInt(Integer::intValue).toArray();
        StoredMatrix matrix = source.matrix(name);
        if (tensor.rank() == 1) {
            cuttings.put(name, List.of(new Cutting(new Declared(name, tensor.dtype(), List.of((long) kept.length)),
                    List.of(new Gather(matrix, 1, kept)))));
            return;
        }
        List<Taken> parts = List.of(new Taken(Slab.whole(name, matrix.rows(), matrix.columns()), name, new Gather(matrix, 0, kept)));
        cuttings.put(name, cut(tensor, new ArrayList<>(parts)));
        Scales scales = matrix.scales();
        if (scales != null) {
            int[] lines = scales.inBlocks() ? ScaleBlocks.of(name, scales, 0, kept) : kept;
            StoredMatrix grid = source.matrix(scales.tensor().name());
            cuttings.put(grid.name(), cut(scales.tensor(), new ArrayList<>(List.of(
                    new Taken(Slab.whole(grid.name(), grid.rows(), grid.columns()), grid.name(), new Gather(grid, 0, lines))))));
        }
    }

    private List<Cutting> cut(Tensor tensor, List<Taken> parts) {
        parts.sort(Comparator.comparingLong(part -> part.slab.first()));
        long next = 0;
        long rows = dropped.getOrDefault(tensor.name(), 0L);
        for (Taken part : parts) {
            if (part.slab.first() < next) {
                throw new IllegalArgumentException(tensor.name() + ": in two places of the model (expected: one)");
            }
            next = part.slab.first() + part.slab.rows();
            rows += part.slab.rows();
        }
        if (rows * tensor.dim(tensor.rank() - 1) != tensor.elements()) {
            throw new IllegalArgumentException(tensor.name() + ": rows from " + rows + " on belong to no expert (expected: all)");
        }
        boolean fused = tensor.rank() > 2;
        if (!fused) {
            return List.of(cutting(parts.getFirst().alone, tensor, List.of(parts.getFirst().gather.rows()), parts));
        }
        if (parts.stream().mapToLong(part -> part.gather.kept().length).distinct().count() > 1) {
            return parts.stream().map(part -> cutting(part.alone, tensor, List.of(part.gather.rows()), List.of(part))).toList();
        }
        long experts = tensor.dim(0) * parts.size() / Math.max(1, parts.size() + goneParts(tensor, parts));
        long all = parts.stream().mapToLong(part -> part.gather.rows()).sum();
        return List.of(cutting(tensor.name(), tensor, List.of(experts, all / experts), parts));
    }

    /** How many matrices of a fused tensor go: they are as tall as those that stay were. */
    private long goneParts(Tensor tensor, List<Taken> parts) {
        return dropped.getOrDefault(tensor.name(), 0L) / parts.getFirst().slab.rows();
    }

    private static Cutting cutting(String name, Tensor tensor, List<Long> leading, List<Taken> parts) {
        List<Long> shape = new ArrayList<>(leading);
        shape.add(parts.getFirst().gather.columns());
        return new Cutting(new Declared(name, tensor.dtype(), shape), parts.stream().map(Taken::gather).toList());
    }
}

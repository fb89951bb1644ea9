package io.espalier.plan;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.checkpoint.Scales;
import io.espalier.checkpoint.Slab;
import io.espalier.checkpoint.StoredMatrix;
import io.espalier.checkpoint.Tensor;

/**
 * What stands in the place of each expert tensor after the cut, in the source's dialect: one narrower tensor. Only a fused tensor whose experts come to
 * several widths cannot be one tensor any more; its matrices then stand alone, under the names of the architecture's classical dialect.
 */
final class Cuttings {

    /** A tensor to be written: some matrices, one below the other. */
    record Cutting(Declared declared, List<Gather> gathers) {}

    private record Taken(Slab slab, Gather gather) {}

    private final Checkpoint source;
    private final Map<String, List<Taken>> taken = new LinkedHashMap<>();
    private final Map<String, List<Cutting>> cuttings = new LinkedHashMap<>();
    private final TreeSet<Integer> unfused = new TreeSet<>();

    /**
     * @throws IllegalArgumentException when plan, experts and source do not belong together
     * @throws io.espalier.recipe.PruningException {@code FP8_ALIGNMENT} when scales could not say what is kept
     */
    Cuttings(Checkpoint source, KeepPlan plan, List<ExpertTensors> experts) {
        this.source = source;
        List<KeepPlan.Expert> kept = plan.experts();
        if (kept.size() != experts.size()) {
            throw new IllegalArgumentException("plan: " + kept.size() + " experts (expected: the model's " + experts.size() + ")");
        }
        Map<Integer, Integer> widths = new LinkedHashMap<>();
        for (int e = 0; e < experts.size(); e++) {
            ExpertTensors expert = experts.get(e);
            KeepPlan.Expert keep = kept.get(e);
            if (keep.layer() != expert.layer() || keep.expert() != expert.expert() || keep.width() != expert.width()) {
                throw new IllegalArgumentException("plan: layer " + keep.layer() + ", expert " + keep.expert() + ", width " + keep.width()
                        + " (expected: layer " + expert.layer() + ", expert " + expert.expert() + ", width " + expert.width() + ")");
            }
            take(expert.gate(), 0, keep.kept());
            take(expert.up(), 0, keep.kept());
            take(expert.down(), 1, keep.kept());
            Integer first = widths.putIfAbsent(expert.layer(), keep.keptWidth());
            if (expert.fused() && first != null && first != keep.keptWidth()) {
                unfused.add(expert.layer());
            }
        }
        taken.forEach((name, parts) -> cuttings.put(name, cut(source.tensor(name), parts)));
    }

    /** What stands in the tensor's place; {@code null} for a tensor that is copied. */
    List<Cutting> of(String tensor) {
        return cuttings.get(tensor);
    }

    /** Layers whose fused tensors the cut takes apart, ascending. */
    List<Integer> unfused() {
        return List.copyOf(unfused);
    }

    private void take(Slab slab, int axis, int[] kept) {
        Tensor tensor = source.tensor(slab.tensor());
        if (!tensor.shape().equals(slab.shape())) {
            throw new IllegalArgumentException(slab.tensor() + ": shape " + tensor.shape() + " (expected: " + slab.shape() + ")");
        }
        StoredMatrix matrix = source.matrix(slab);
        taken.computeIfAbsent(slab.tensor(), _ -> new ArrayList<>()).add(new Taken(slab, new Gather(matrix, axis, kept)));
        Scales scales = matrix.scales();
        if (scales == null || axis == 1 && !scales.inBlocks()) {
            return;
        }
        String name = scales.tensor().name();
        StoredMatrix grid = source.matrix(name);
        int[] lines = scales.inBlocks() ? ScaleBlocks.of(slab.tensor(), scales, axis, kept) : kept;
        taken.computeIfAbsent(name, _ -> new ArrayList<>())
                .add(new Taken(Slab.whole(name, grid.rows(), grid.columns()), new Gather(grid, axis, lines)));
    }

    private List<Cutting> cut(Tensor tensor, List<Taken> parts) {
        parts.sort(Comparator.comparingLong(part -> part.slab.first()));
        long next = 0;
        for (Taken part : parts) {
            if (part.slab.first() < next) {
                throw new IllegalArgumentException(tensor.name() + ": in two places of the model (expected: one)");
            }
            next += part.slab.rows();
        }
        if (next * tensor.dim(tensor.rank() - 1) != tensor.elements()) {
            throw new IllegalArgumentException(tensor.name() + ": rows from " + next + " on belong to no expert (expected: all)");
        }
        if (parts.stream().mapToLong(part -> part.gather.kept().length).distinct().count() > 1) {
            return parts.stream().map(part -> cutting(part.slab.alone(), tensor, List.of(part.gather.rows()), List.of(part))).toList();
        }
        List<Long> leading = new ArrayList<>(tensor.shape().subList(0, tensor.rank() - 1));
        long rows = parts.stream().mapToLong(part -> part.gather.rows()).sum();
        leading.set(leading.size() - 1, leading.size() == 1 ? rows : rows / leading.getFirst());
        return List.of(cutting(tensor.name(), tensor, leading, parts));
    }

    private static Cutting cutting(String name, Tensor tensor, List<Long> leading, List<Taken> parts) {
        List<Long> shape = new ArrayList<>(leading);
        shape.add(parts.getFirst().gather.columns());
        return new Cutting(new Declared(name, tensor.dtype(), shape), parts.stream().map(Taken::gather).toList());
    }
}

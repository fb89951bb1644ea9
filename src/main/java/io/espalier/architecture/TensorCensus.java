package io.espalier.architecture;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.DType;
import io.espalier.checkpoint.Scales;
import io.espalier.checkpoint.Tensor;

/** Holds the tensors of the files against those that the model is made of: none missing, none misshapen, none unknown, every FP8 one with its scales. */
final class TensorCensus {

    private static final int SHOWN = 20;

    private final DecoderSpec spec;
    private final Map<String, Tensor> given;
    private final int block;
    private final Set<String> accounted = new HashSet<>();
    private final List<String> problems = new ArrayList<>();

    private TensorCensus(DecoderSpec spec, Checkpoint checkpoint) {
        this.spec = spec;
        this.given = checkpoint.tensors();
        this.block = Scales.block(checkpoint.config());
    }

    /** @throws UnsupportedModelException naming what is missing, misshapen or unknown */
    static void require(DecoderSpec spec, Checkpoint checkpoint) {
        TensorCensus census = new TensorCensus(spec, checkpoint);
        SequencedMap<String, long[]> expected = spec.tensors();
        expected.forEach(census::expect);
        census.refuseUnknown();
        census.throwIfRefused();
    }

    private void expect(String name, long[] extents) {
        List<Long> shape = java.util.Arrays.stream(extents).boxed().toList();
        accounted.add(name);
        Tensor tensor = given.get(name);
        if (tensor == null) {
            problems.add(name + ": missing (expected: shape " + shape + ")");
        } else if (!tensor.shape().equals(shape)) {
            refuse(tensor, "shape " + tensor.shape(), shape + ", from config.json");
        } else if (tensor.dtype() == DType.F8_E4M3) {
            expectScales(tensor);
        } else if (tensor.dtype() != DType.F32 && tensor.dtype() != DType.F16 && tensor.dtype() != DType.BF16) {
            refuse(tensor, "dtype " + tensor.dtype(), "F32, F16 or BF16, or F8_E4M3 with scales");
        }
    }

    private void expectScales(Tensor tensor) {
        if (tensor.rank() != 2 || tensor.name().equals(DecoderSpec.EMBEDDING) || tensor.name().equals(DecoderSpec.HEAD)) {
            refuse(tensor, "dtype F8_E4M3", "F32, F16 or BF16; only linear layers with a tensor of their own are read in FP8");
            return;
        }
        List<String> names = Scales.names(tensor.name());
        List<Long> rows = List.of(tensor.dim(0), 1L);
        List<Long> grid = block > 0 ? Scales.grid(tensor.dim(0), tensor.dim(1), block) : rows;
        Tensor scales = names.stream().filter(given::containsKey).findFirst().map(given::get).orElse(null);
        if (scales == null) {
            refuse(tensor, "dtype F8_E4M3 without scales", names.getFirst() + " of shape " + grid);
            return;
        }
        accounted.add(scales.name());
        if (!scales.shape().equals(grid) && !scales.shape().equals(rows)) {
            refuse(scales, "shape " + scales.shape(), grid.equals(rows)
                    ? rows + ", one scale a row; quantization_config.weight_block_size names no blocks"
                    : grid + ", a scale for every block of " + block + " x " + block + ", or " + rows + ", one a row");
        } else if (scales.dtype() != DType.F32 && scales.dtype() != DType.BF16) {
            refuse(scales, "dtype " + scales.dtype(), "F32 or BF16");
        }
    }

    private void refuseUnknown() {
        given.forEach((name, tensor) -> {
            if (!accounted.contains(name) && !inert(name)) {
                refuse(tensor, "unknown tensor",
                        "only tensors of a " + spec.modelType() + " model; an unknown one may be part of its mathematics");
            }
        });
    }

    /** Tensors that old files carry and no stock model class reads: rotary tables, and a head beside a tied embedding. */
    private boolean inert(String name) {
        return name.endsWith(".rotary_emb.inv_freq") || spec.tiedEmbeddings() && name.equals(DecoderSpec.HEAD);
    }

    private void refuse(Tensor tensor, String what, String expected) {
        problems.add(tensor.shard().getFileName() + ": " + tensor.name() + ": " + what + " (expected: " + expected + ")");
    }

    private void throwIfRefused() {
        if (!problems.isEmpty()) {
            List<String> shown = new ArrayList<>(problems.subList(0, Math.min(SHOWN, problems.size())));
            if (shown.size() < problems.size()) {
                shown.add("and " + (problems.size() - shown.size()) + " more");
            }
            throw new UnsupportedModelException(UnsupportedModelException.Reason.TENSORS, shown);
        }
    }
}

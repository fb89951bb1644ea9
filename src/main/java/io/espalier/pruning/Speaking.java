package io.espalier.pruning;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import io.espalier.architecture.Architecture;
import io.espalier.architecture.DecoderSpec;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.Slab;
import io.espalier.evaluation.Prompts;
import io.espalier.recipe.Continuations;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Preflight;
import io.espalier.recipe.Prompting;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Violation;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.MemoryPlan;

/** Lets the given model and the written ones continue the same prompts. */
record Speaking(OpenedRun opened, ComputeDevice device) {

    /**
     * @param written directories of the written models
     * @return what each says beside the given one
     */
    List<Continuations> of(List<Path> written, PhaseProgress stretch) {
        double each = 1.0 / (1 + written.size());
        Prompts.Said before = said(opened.checkpoint(), opened.spec(), stretch.part(0, each));
        List<Continuations> compared = new ArrayList<>();
        for (int i = 0; i < written.size(); i++) {
            try (Checkpoint model = Checkpoint.open(written.get(i))) {
                Prompts.Said after = said(model, Architecture.specOf(model), stretch.part((i + 1) * each, (i + 2) * each));
                compared.add(
                        opened.prompts().compared(before, after, opened.tokenizer(), after.seconds() + (i == 0 ? before.seconds() : 0)));
            }
        }
        return compared;
    }

    private Prompts.Said said(Checkpoint checkpoint, DecoderSpec spec, PhaseProgress stretch) {
        MemoryPlan plan = plan(device, spec, opened.prompts().ids().length, opened.prompts().length(),
                OpenedRun.precision(opened.recipe()));
        try (Decoder decoder = Decoder.open(checkpoint, spec, KeptAtoms.ALL, plan.compute())) {
            return opened.prompts().continuedBy(decoder, stretch);
        }
    }

    static MemoryPlan plan(ComputeDevice device, DecoderSpec spec, int prompts, int length, Compute.Precision precision) {
        try {
            return device.plan(spec, new MemoryPlan.Work(prompts, length, MemoryPlan.Kind.DECODE), precision);
        } catch (MemoryPlan.BudgetTooSmallException small) {
            throw new PruningException(ErrorCode.OUT_OF_MEMORY, List.of(new Violation("evaluation.continuations",
                    prompts + " prompts of " + length + " tokens in all, which take " + small.smallest() + " bytes",
                    "what fits the memory budget of " + device.budget() + " bytes: fewer prompts or tokens, or none")));
        }
    }

    /**
     * What it would take, whatever the models turn out to say.
     *
     * @param models the given one and the written ones
     * @param plan of the given one
     */
    static Preflight.Decoding foreseen(Prompting order, Checkpoint checkpoint, DecoderSpec spec, int models, MemoryPlan plan) {
        long first = bytesOfStep(order.prompts(), order.promptTokens(), checkpoint, spec);
        long next = bytesOfStep(order.prompts(), 1, checkpoint, spec);
        return new Preflight.Decoding((long) models * order.prompts() * order.tokens(), plan.bytes(),
                models * (first + (order.tokens() - 1) * next), checkpoint.tensorBytes() <= ComputeDevice.freeMemory());
    }

    /** At most so much is read while some positions of every prompt pass the model: all but the experts that cannot be selected. */
    private static long bytesOfStep(int prompts, int positions, Checkpoint checkpoint, DecoderSpec spec) {
        long bytes = checkpoint.tensorBytes();
        if (!spec.headTensor().equals(DecoderSpec.EMBEDDING)) {
            bytes -= checkpoint.tensor(DecoderSpec.EMBEDDING).length();
        }
        for (DecoderSpec.LayerSpec layer : spec.layers()) {
            if (layer.mlp() instanceof DecoderSpec.Moe moe) {
                long all = moe.experts().stream().mapToLong(expert -> bytes(checkpoint, expert)).sum();
                long largest = moe.experts().stream().mapToLong(expert -> bytes(checkpoint, expert)).max().orElse(0);
                bytes += prompts * Math.min(all, (long) positions * moe.topK() * largest) - all;
            }
        }
        return bytes;
    }

    private static long bytes(Checkpoint checkpoint, ExpertTensors expert) {
        return List.of(expert.gate(), expert.up(), expert.down()).stream().mapToLong(slab -> bytes(checkpoint, slab)).sum();
    }

    private static long bytes(Checkpoint checkpoint, Slab slab) {
        return (long) slab.rows() * slab.columns() * checkpoint.matrix(slab).dtype().bytes();
    }
}

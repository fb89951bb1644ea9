package io.espalier.transformer;

import java.nio.file.Path;
import java.util.Arrays;

import ai.djl.ndarray.NDArray;
import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;

/** The twin of {@link GreedyDecoding}: each token by a whole forward pass over all that went before. */
public final class SlowDecoding {

    private SlowDecoding() {}

    /** The ids that follow the prompt. */
    public static int[] continued(Path model, int[] prompt, int tokens, Compute compute) {
        int[] ids = prompt;
        try (Checkpoint checkpoint = Checkpoint.open(model);
                Decoder decoder = Decoder.open(checkpoint, Architecture.specOf(checkpoint), KeptAtoms.ALL, compute)) {
            for (int step = 0; step < tokens; step++) {
                TokenBatch batch = TokenBatch.of(new int[][]{ids});
                NDArray x = decoder.embed(batch);
                for (int l = 0; l < decoder.spec().layers().size(); l++) {
                    x = decoder.layer(l).forward(x, batch, ExpertObserver.NONE).y();
                }
                long next = decoder.head().logits(x).get(ids.length - 1).argMax().getLong();
                ids = Arrays.copyOf(ids, ids.length + 1);
                ids[ids.length - 1] = (int) next;
            }
        }
        return Arrays.copyOfRange(ids, prompt.length, ids.length);
    }
}

package io.espalier.transformer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;

/**
 * What a model says next: behind each prompt the token with the largest logit, of equal ones the lowest id, again and again.
 *
 * <p>
 * The model is streamed: each layer is loaded once a step and sees all prompts before the next one is loaded. Keys and values of what was seen are kept, so
 * that a step computes one position a prompt, and of a layer only the experts that position selects are read. Every prompt goes through alone, whichever
 * others there are: its continuation does not depend on them, nor on memory and cores.
 */
public final class GreedyDecoding implements AutoCloseable {

    /** Hears of each layer that a prompt has passed, on the thread that decodes. */
    @FunctionalInterface
    public interface Watch {
        /**
         * @param token which of the tokens is being found, from 0
         * @param layer that was passed
         * @param passed prompts that have passed it in this step
         * @param decoding prompts that pass in this step
         */
        void passed(int token, int layer, int passed, int decoding);
    }

    private final Decoder decoder;
    private final Set<Integer> ends;
    private final int tokens;
    private final List<Prompt> prompts = new ArrayList<>();

    /** A prompt, what was found behind it, and what its next step has in hand. */
    private static final class Prompt {

        private final KeyValues seen;
        private final int[] found;
        private int count;
        private int[] fed;
        /** The residual stream of the positions fed, [fed, hidden]. */
        private NDArray x;
        private float best;

        Prompt(int[] ids, int tokens, KeyValues seen) {
            this.fed = ids;
            this.found = new int[tokens];
            this.seen = seen;
        }

        void take(NDArray next) {
            drop();
            x = next;
        }

        void drop() {
            if (x != null) {
                x.close();
                x = null;
            }
        }

        int[] found() {
            return Arrays.copyOf(found, count);
        }
    }

    /**
     * @param prompts token ids, at least one each
     * @param tokens how many follow at most, at least 1
     * @param ends tokens behind which nothing follows; the token itself is part of what was found
     */
    public GreedyDecoding(Decoder decoder, int[][] prompts, int tokens, Set<Integer> ends) {
        this.decoder = decoder;
        this.tokens = tokens;
        this.ends = Set.copyOf(ends);
        for (int[] ids : prompts) {
            // the last token found is not fed
            this.prompts.add(new Prompt(ids, tokens, new KeyValues(decoder.spec(), ids.length + tokens - 1,
                    decoder.compute().precision().activations(), decoder.manager())));
        }
    }

    /**
     * Decodes, once.
     *
     * @return the tokens behind each prompt, [prompts][at most tokens]
     * @throws NotFiniteException when a layer's output or a logit is not a number
     */
    public int[][] run(Watch watch) {
        List<Prompt> going = prompts;
        for (int token = 0; token < tokens && !going.isEmpty(); token++) {
            step(going, token, watch);
            going = going.stream().filter(prompt -> !ends.contains(prompt.found[prompt.count - 1])).toList();
        }
        return prompts.stream().map(Prompt::found).toArray(int[][]::new);
    }

    /** One token more behind each. */
    private void step(List<Prompt> going, int token, Watch watch) {
        int layers = decoder.spec().layers().size();
        each(going, prompt -> {
            try (Scratch scratch = new Scratch()) {
                prompt.take(scratch.keep(decoder.embed(TokenBatch.of(new int[][]{prompt.fed}))));
            }
        }, _ -> {});
        for (int l = 0; l < layers; l++) {
            DecoderLayer layer = decoder.layer(l);
            decoder.expect(l + 1);
            int at = l;
            int[] passed = new int[1];
            each(going, prompt -> {
                try (Scratch scratch = new Scratch()) {
                    prompt.take(scratch.keep(layer.next(prompt.x, TokenBatch.of(new int[][]{prompt.fed}), prompt.seen)));
                }
            }, _ -> watch.passed(token, at, ++passed[0], going.size()));
        }
        best(going);
        for (Prompt prompt : going) {
            prompt.drop();
            prompt.seen.advance(prompt.fed.length);
            NotFiniteException.requireFinite(prompt.best, "largest logit behind " + prompt.seen.filled() + " tokens");
            prompt.fed = new int[]{prompt.found[prompt.count++]};
        }
    }

    /** The head piece by piece, lower ids first, over the last position of each. */
    private void best(List<Prompt> going) {
        going.forEach(prompt -> prompt.best = Float.NEGATIVE_INFINITY);
        int vocab = decoder.spec().vocabSize();
        for (int from = 0; from < vocab; from += Math.min(decoder.compute().headRows(), vocab - from)) {
            Head head = decoder.head(from, from + Math.min(decoder.compute().headRows(), vocab - from));
            each(going, prompt -> {
                try (Scratch _ = new Scratch()) {
                    NDArray last = prompt.x.get(Head.rows(prompt.fed.length - 1, prompt.fed.length));
                    choose(prompt, floats(head.logits(last)), head.firstToken());
                }
            }, _ -> {});
        }
    }

    private static float[] floats(NDArray logits) {
        return logits.toType(DataType.FLOAT32, false).toFloatArray();
    }

    private static void choose(Prompt prompt, float[] logits, int firstToken) {
        for (int i = 0; i < logits.length; i++) {
            if (logits[i] > prompt.best || Float.isNaN(logits[i])) {
                prompt.best = logits[i];
                prompt.found[prompt.count] = firstToken + i;
            }
        }
    }

    private void each(List<Prompt> going, java.util.function.Consumer<Prompt> task, java.util.function.IntConsumer finished) {
        decoder.lanes().forEach(going.size(), i -> task.accept(going.get(i)), finished);
    }

    @Override
    public void close() {
        prompts.forEach(prompt -> {
            prompt.drop();
            prompt.seen.close();
        });
    }
}

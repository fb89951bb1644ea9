package io.espalier.evaluation;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.JsonFile;
import io.espalier.corpus.TokenWindows;
import io.espalier.corpus.Tokenizer;
import io.espalier.recipe.Continuations;
import io.espalier.recipe.Continuations.Continued;
import io.espalier.recipe.Continuations.Passage;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Prompting;
import io.espalier.recipe.PruningException;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.GreedyDecoding;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;

/**
 * What models are asked to continue: beginnings of evaluation windows.
 *
 * @param windows index of the evaluation window of each prompt
 * @param ids token ids of each prompt
 * @param references what the corpus goes on with behind each
 * @param tokens that follow at most
 * @param ends tokens behind which nothing follows
 */
public record Prompts(int[] windows, int[][] ids, int[][] references, int tokens, Set<Integer> ends) {

    private static final String GENERATION_CONFIG = "generation_config.json";
    private static final String EOS = "eos_token_id";

    /**
     * What a model said, and how long it took.
     *
     * @param ids behind each prompt
     * @param seconds of wall time
     */
    public record Said(int[][] ids, double seconds) {}

    /**
     * @param windows at least as long as a prompt and what follows it
     * @param checkpoint says with which tokens a text ends
     */
    public static Prompts of(Prompting order, TokenWindows windows, Checkpoint checkpoint) {
        int[] chosen = new int[order.prompts()];
        int[][] ids = new int[chosen.length][];
        int[][] references = new int[chosen.length][];
        for (int i = 0; i < chosen.length; i++) {
            chosen[i] = order.window(i, windows.windows());
            int[] window = windows.ids()[chosen[i]];
            ids[i] = Arrays.copyOf(window, order.promptTokens());
            references[i] = Arrays.copyOfRange(window, order.promptTokens(), order.length());
        }
        return new Prompts(chosen, ids, references, order.tokens(), ends(checkpoint));
    }

    /** As {@code generation_config.json} has them, else {@code config.json}; none where neither has. */
    private static Set<Integer> ends(Checkpoint checkpoint) {
        Path file = checkpoint.directory().resolve(GENERATION_CONFIG);
        JsonNode ends = Files.isRegularFile(file) ? JsonFile.read(file).path(EOS) : MissingNode.getInstance();
        if (!ends.isMissingNode() && !ends.isNull()) {
            return ids(ends, GENERATION_CONFIG);
        }
        JsonNode configured = checkpoint.config().path(EOS);
        return configured.isMissingNode() || configured.isNull() ? Set.of() : ids(configured, Checkpoint.CONFIG);
    }

    private static Set<Integer> ids(JsonNode ends, String file) {
        List<JsonNode> all = ends.isArray() ? StreamSupport.stream(ends.spliterator(), false).toList() : List.of(ends);
        if (!all.stream().allMatch(JsonNode::isInt)) {
            throw new PruningException(ErrorCode.MALFORMED_CHECKPOINT,
                    file + ": " + EOS + ": " + ends + " (expected: a token id or a list of them)");
        }
        return all.stream().map(JsonNode::intValue).collect(Collectors.toUnmodifiableSet());
    }

    /** Tokens that a sequence has at most. */
    public int length() {
        return ids[0].length + tokens;
    }

    /** Lets a model speak. */
    public Said continuedBy(Decoder decoder, PhaseProgress progress) {
        long began = System.nanoTime();
        int layers = decoder.spec().layers().size();
        try (GreedyDecoding decoding = new GreedyDecoding(decoder, ids, tokens, ends)) {
            int[][] found = decoding.run((token, layer, passed, going) -> {
                double ofToken = (layer + (double) passed / going) / layers;
                progress.at((token + ofToken) / tokens, layer, layers, ids.length * (token + ofToken) / seconds(began));
            });
            return new Said(found, seconds(began));
        }
    }

    private static double seconds(long began) {
        return (System.nanoTime() - began) * 1e-9;
    }

    /**
     * Side by side.
     *
     * @param tokenizer of the models; {@code null} where there is none
     * @param seconds to be told
     */
    public Continuations compared(Said before, Said after, Tokenizer tokenizer, double seconds) {
        List<Continued> compared = new ArrayList<>();
        for (int i = 0; i < ids.length; i++) {
            Spelling spelling = new Spelling(tokenizer, ids[i], references[i]);
            int[] one = before.ids[i];
            int[] other = after.ids[i];
            int differs = Arrays.mismatch(one, other);
            compared.add(new Continued(windows[i], passage(spelling.prompt(), ids[i]),
                    passage(spelling.behind(references[i]), references[i]), passage(spelling.behind(one), one),
                    passage(spelling.behind(other), other), differs < 0 ? one.length : differs));
        }
        return Continuations.of(compared, seconds);
    }

    private static Passage passage(String text, int[] ids) {
        return new Passage(text, Arrays.stream(ids).boxed().toList());
    }
}

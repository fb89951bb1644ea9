package io.espalier.pruning;

import java.util.List;

import io.espalier.corpus.Corpus;
import io.espalier.corpus.TokenWindows;
import io.espalier.corpus.Tokenizer;
import io.espalier.corpus.Windowing;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Preflight.Tokens;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Violation;

/** What a text gives a run: a short one is read as the run would read it, of a long one only the beginning. */
final class TextSurvey {

    /** Bytes of text that are tokenised while somebody waits, at most and at least. */
    private static final int MOST_AT_ONCE = 4 << 20;
    private static final int LEAST_AT_ONCE = 1 << 16;
    /** More bytes than a token has in nearly any text. */
    private static final int BYTES_PER_TOKEN = 8;

    private final CorpusRef corpus;
    private final Windowing windowing;
    private final Tokenizer tokenizer;
    private final int vocabSize;
    private final int atOnce;
    private TokenWindows windows;
    private Long found;
    private boolean all;
    private String why;

    /**
     * @param tokenizer {@code null} when it cannot be opened, which was said already
     * @param whole whether all is read that can be; otherwise as much as is enough
     */
    TextSurvey(CorpusRef corpus, Windowing windowing, Tokenizer tokenizer, int vocabSize, boolean whole) {
        this.corpus = corpus;
        this.windowing = windowing;
        this.tokenizer = tokenizer;
        this.vocabSize = vocabSize;
        this.atOnce = whole ? MOST_AT_ONCE : Math.clamp(BYTES_PER_TOKEN * asked(), LEAST_AT_ONCE, MOST_AT_ONCE);
    }

    /** @throws PruningException with a violation of the field, when the run would refuse the text */
    void look(String field) {
        try {
            if (tokenizer == null && !corpus.isReady()) {
                why = "the model's tokenizer cannot be opened, see violations";
            } else if (Corpus.longest(corpus) <= atOnce) {
                Corpus.Read read = Corpus.read(corpus, tokenizer, windowing, vocabSize);
                windows = read.windows();
                found = read.tokens();
                all = true;
            } else {
                beginnings();
            }
        } catch (PruningException refused) {
            why = "the text is refused, see violations";
            throw refused.violations().isEmpty()
                    ? new PruningException(refused.code(), List.of(Violation.said(field, refused.getMessage())))
                    : refused;
        }
    }

    private void beginnings() {
        found = corpus.leaves().mapToLong(leaf -> Corpus.longest(leaf) <= atOnce
                ? Corpus.tokens(leaf, tokenizer)
                : Corpus.tokensOfBeginning(leaf, tokenizer, atOnce)).sum();
        if (found < asked()) {
            why = "of a long text only the first " + atOnce + " bytes were counted, " + found + " tokens";
            found = null;
        }
    }

    private long asked() {
        return (long) windowing.windows() * windowing.length();
    }

    /** {@code null} unless all of it was read. */
    TokenWindows windows() {
        return windows;
    }

    Tokens tokens() {
        return new Tokens(asked(), found, all);
    }

    /** Why it is not known how many there are; {@code null} when it is. */
    String why() {
        return why;
    }
}

package io.espalier.pruning;

import java.nio.file.Path;

import io.espalier.corpus.Corpus;
import io.espalier.corpus.Tokenizer;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.TokenCounter;

/** Counts with the tokenizer of a checkpoint. */
public final class TokenCount implements TokenCounter {

    @Override
    public long count(CorpusRef corpus, Path model) {
        if (corpus.isReady()) {
            return Corpus.tokens(corpus, null);
        }
        try (Tokenizer tokenizer = Tokenizer.open(model)) {
            return Corpus.tokens(corpus, tokenizer);
        }
    }
}

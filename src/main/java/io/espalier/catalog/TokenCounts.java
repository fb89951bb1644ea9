package io.espalier.catalog;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;

import io.espalier.recipe.TokenCounter;
import io.espalier.recipe.Violation;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.stereotype.Component;

/** How many tokens a corpus has: as somebody counted it before, or counted now, one corpus at a time. */
@Component
public class TokenCounts {

    private static final String TOKENIZER = "tokenizer.json";

    private final Corpora corpora;
    private final ObjectProvider<TokenCounter> counter;
    private final Lock one = new ReentrantLock();

    TokenCounts(Corpora corpora, ObjectProvider<TokenCounter> counter) {
        this.corpora = corpora;
        this.counter = counter;
    }

    /** SHA-256 of a model's tokenizer, 64 hex digits; {@code null} when it has none. */
    public String tokenizer(Path model) {
        try {
            Path file = model.resolve(TOKENIZER);
            return Files.isRegularFile(file) ? HexFormat.of().formatHex(TextIntake.sha256().digest(Files.readAllBytes(file))) : null;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Tokens by one tokenizer.
     *
     * @param tokenizer of the model, as {@link #tokenizer} has it
     * @return empty when nobody counted yet and this process has no tokenizers
     * @throws CorpusException when the file is another than was registered
     * @throws io.espalier.recipe.PruningException when text or tokenizer cannot be read
     */
    public Optional<Corpus.Counted> of(Corpus corpus, Path model, String tokenizer) {
        Optional<Corpus.Counted> known = known(corpus, tokenizer);
        TokenCounter counts = counter.getIfAvailable();
        if (known.isPresent() || counts == null) {
            return known;
        }
        requireUnchanged(corpus);
        one.lock();
        try {
            return known(corpora.find(corpus.name(), corpus.project()).orElse(corpus), tokenizer)
                    .or(() -> Optional.of(corpora.counted(corpus, tokenizer, counts.count(corpora.reference(corpus), model))));
        } finally {
            one.unlock();
        }
    }

    private static Optional<Corpus.Counted> known(Corpus corpus, String tokenizer) {
        return corpus.tokens().stream().filter(counted -> counted.tokenizerSha256().equals(tokenizer)).findFirst();
    }

    private static void requireUnchanged(Corpus corpus) {
        if (corpus.path() != null && corpus.bytes() != null && Path.of(corpus.path()).toFile().length() != corpus.bytes()) {
            throw new CorpusException(List.of(new Violation("corpus", Path.of(corpus.path()).toFile().length() + " bytes",
                    corpus.bytes() + " bytes, as when it was registered")));
        }
    }
}

package io.espalier.recipe;

import java.nio.file.Path;

/** Counts the tokens of a text. The workshop has tokenizers; a process without a worker has none. */
@FunctionalInterface
public interface TokenCounter {

    /**
     * Reads the text to its end, however long it takes.
     *
     * @param corpus by path or text
     * @param model directory with the tokenizer
     * @throws PruningException when either cannot be read
     */
    long count(CorpusRef corpus, Path model);
}

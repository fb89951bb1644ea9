package io.espalier.recipe;

import java.nio.file.Path;

/** Where a finished run's scores are laid down. The worker hands them over, the catalog keeps them, and neither knows the other. */
public interface ScoreShelf {

    /**
     * Keeps a scores file, in the caller's transaction.
     *
     * @param id of the score set to be
     * @param jobId whose scores they are
     * @param file safetensors, read once from the start to the end
     * @param summary the same scores for a person
     * @throws java.io.UncheckedIOException when the file cannot be read
     */
    void keep(String id, String jobId, Path file, ScoreSummary summary);
}

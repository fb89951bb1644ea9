package io.espalier.recipe;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Where scores are laid down, and found again by whoever would measure the same. The worker hands them over, the catalog keeps them, and neither knows
 * the other. A score set stays for as long as a job refers to it.
 */
public interface ScoreShelf {

    /**
     * Looks for scores by what they are a function of. What is found stays at least until the caller's transaction ends.
     *
     * @param project whose scores may be used: those of others do not exist, however equal they are
     * @param address as {@link ScoreOrigin} has it
     * @return the id of the score set
     */
    Optional<String> findByAddress(String project, String address);

    /**
     * Writes the safetensors file of a score set.
     *
     * @throws IOException when the file cannot be written
     * @throws java.util.NoSuchElementException when there is no such set
     */
    void fetch(String id, Path file) throws IOException;

    /**
     * Keeps a scores file, in the caller's transaction.
     *
     * @param id of the score set to be
     * @param jobId whose scores they are
     * @param file safetensors, read once from the start to the end
     * @param summary the same scores for a person, with the job's plan
     * @param origin what they are a function of
     * @return the id of the set that stands for these scores: the one to be, or one that another job stored in the meantime
     * @throws java.io.UncheckedIOException when the file cannot be read
     */
    String keep(String id, String jobId, Path file, ScoreSummary summary, ScoreOrigin origin);

    /** Keeps what a job's plan makes of a score set that was there before, in the caller's transaction. */
    void planned(String jobId, String id, ScoreSummary summary);
}

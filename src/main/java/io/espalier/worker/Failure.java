package io.espalier.worker;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.SQLException;
import java.util.function.Predicate;
import java.util.stream.Stream;

import io.espalier.job.JobError;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.dao.RecoverableDataAccessException;
import org.springframework.dao.TransientDataAccessException;
import org.springframework.transaction.TransactionException;

/** Why a run ended badly, in the words of the job. */
final class Failure {

    private Failure() {}

    static JobError of(Throwable thrown) {
        if (thrown instanceof PruningException known && known.code() != ErrorCode.IO_ERROR) {
            return new JobError(known.code(), known.getMessage(), known.violations());
        }
        if (is(thrown, t -> t.getMessage() != null && t.getMessage().contains("No space left on device"))) {
            return new JobError(ErrorCode.DISK_FULL, "the disk is full: " + sentence(thrown) + ". Free some space and order again", null);
        }
        if (thrown instanceof PruningException known) {
            return new JobError(known.code(), known.getMessage(), known.violations());
        }
        if (is(thrown, OutOfMemoryError.class::isInstance)) {
            return new JobError(ErrorCode.OUT_OF_MEMORY, "memory ran out: " + sentence(thrown)
                    + ". Give the process more, or order fewer or shorter sequences", null);
        }
        if (thrown instanceof IOException || thrown instanceof UncheckedIOException) {
            return new JobError(ErrorCode.IO_ERROR, sentence(thrown), null);
        }
        return new JobError(ErrorCode.INTERNAL_ERROR, "an error of the service, not of the order: " + sentence(thrown)
                + ". The log has the rest under this job's id", null);
    }

    /** Whether the same piece may go well in a while: the machine's trouble, not the order's. */
    static boolean mayPass(JobError error) {
        return error.code() == ErrorCode.DISK_FULL || error.code() == ErrorCode.IO_ERROR;
    }

    /** Whether the database could not be asked, so that the job's fate is open and it has to be tried again. */
    static boolean ofDatabase(Throwable thrown) {
        return of(thrown).code() == ErrorCode.INTERNAL_ERROR
                && (thrown instanceof TransientDataAccessException || thrown instanceof RecoverableDataAccessException
                        || thrown instanceof DataAccessResourceFailureException || thrown instanceof TransactionException
                        || is(thrown, t -> t instanceof SQLException sql && ofServer(sql.getSQLState())));
    }

    /**
     * SQLSTATE classes of a server that is gone, stops, is full, or made one wait too long: connection, resources, operator, deadlock, lock, and our own
     * transaction ended for idling. Without a state it is the pool that speaks: the connection broke under a transaction, or none came free.
     */
    private static boolean ofServer(String state) {
        return state == null || Stream.of("08", "53", "57", "40", "55", "25P03").anyMatch(state::startsWith);
    }

    private static String sentence(Throwable thrown) {
        Throwable told = thrown instanceof UncheckedIOException wrapped ? wrapped.getCause() : thrown;
        // why the class: the message of a NoSuchFileException is a bare path
        return told.getClass().getSimpleName() + (told.getMessage() == null ? "" : ": " + told.getMessage());
    }

    private static boolean is(Throwable thrown, Predicate<Throwable> what) {
        int depth = 0;
        for (Throwable t = thrown; t != null && depth++ < 32; t = t.getCause()) {
            if (what.test(t)) {
                return true;
            }
        }
        return false;
    }
}

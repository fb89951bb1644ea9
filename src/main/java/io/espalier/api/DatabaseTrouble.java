package io.espalier.api;

import java.sql.SQLException;
import java.util.List;
import java.util.Optional;

import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.dao.RecoverableDataAccessException;
import org.springframework.dao.TransientDataAccessException;
import org.springframework.transaction.CannotCreateTransactionException;

/** What a client is told whose request the database could not carry out now, and may carry out in a moment. */
final class DatabaseTrouble {

    private static final String AWAY = "the database does not answer, or every connection to it is taken; try again in a moment";
    /** SQLSTATEs, and classes of them: connection lost, resources, the operator, our own transaction ended for idling. */
    private static final List<String> SERVER = List.of("08", "53", "57", "25P03");

    private DatabaseTrouble() {}

    /** @return empty when the exception tells of something else: then the request was wrong, or we are */
    static Optional<String> of(Throwable thrown) {
        int depth = 0;
        boolean away = false;
        for (Throwable t = thrown; t != null && depth++ < 32; t = t.getCause()) {
            if (t instanceof SQLException sql && sql.getSQLState() != null && byState(sql.getSQLState()) instanceof String words) {
                return Optional.of(words);
            }
            // why without a state: these are the pool's words for a connection that broke under a transaction, or that none came free
            away |= t instanceof SQLException sql && sql.getSQLState() == null || t instanceof DataAccessResourceFailureException
                    || t instanceof RecoverableDataAccessException
                    || t instanceof TransientDataAccessException || t instanceof CannotCreateTransactionException;
        }
        return away ? Optional.of(AWAY) : Optional.empty();
    }

    private static String byState(String state) {
        return switch (state) {
            case "55P03" ->
                "another client of the database holds what this request has to change, and did not let go in time; try again in a moment";
            case "40001", "40P01" -> "this request and another one changed the same at once; try again in a moment";
            case "57014" -> "the database took longer than a statement may take; try again in a moment";
            default -> SERVER.stream().anyMatch(state::startsWith) ? AWAY : null;
        };
    }
}

package io.espalier.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.sql.SQLException;
import java.util.List;
import java.util.stream.Stream;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Violation;
import org.hibernate.TransactionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.dao.DataAccessResourceFailureException;
import org.springframework.dao.DataIntegrityViolationException;
import org.springframework.orm.jpa.JpaSystemException;
import org.springframework.transaction.CannotCreateTransactionException;

class FailureTest {

    private static final IOException FULL = new FileSystemException("model.safetensors", null, "No space left on device");

    @ParameterizedTest
    @MethodSource
    void whateverIsThrownHasACode(Throwable thrown, ErrorCode code, String inMessage) {
        assertThat(Failure.of(thrown).code()).isEqualTo(code);
        assertThat(Failure.of(thrown).message()).contains(inMessage);
    }

    static Stream<Arguments> whateverIsThrownHasACode() {
        return Stream.of(
                Arguments.of(new PruningException(ErrorCode.TOO_FEW_TOKENS, "12 tokens"), ErrorCode.TOO_FEW_TOKENS, "12 tokens"),
                Arguments.of(new PruningException(ErrorCode.IO_ERROR, "writing", FULL), ErrorCode.DISK_FULL, "disk is full"),
                Arguments.of(FULL, ErrorCode.DISK_FULL, "model.safetensors"),
                Arguments.of(new UncheckedIOException(FULL), ErrorCode.DISK_FULL, "model.safetensors"),
                Arguments.of(new IllegalStateException("sealing", FULL), ErrorCode.DISK_FULL, "disk is full"),
                Arguments.of(new NoSuchFileException("/m/config.json"), ErrorCode.IO_ERROR, "NoSuchFileException: /m/config.json"),
                Arguments.of(new UncheckedIOException(new IOException("broken")), ErrorCode.IO_ERROR, "IOException: broken"),
                Arguments.of(new OutOfMemoryError("Java heap space"), ErrorCode.OUT_OF_MEMORY, "Java heap space"),
                Arguments.of(new IllegalStateException(new OutOfMemoryError("heap")), ErrorCode.OUT_OF_MEMORY, "memory ran out"),
                Arguments.of(new NullPointerException(), ErrorCode.INTERNAL_ERROR, "NullPointerException"),
                Arguments.of(new StackOverflowError(), ErrorCode.INTERNAL_ERROR, "StackOverflowError"));
    }

    @Test
    void violationsOfTheOrderAreKept() {
        Violation violation = new Violation("alignment", "64", "at most 48");
        assertThat(Failure.of(new PruningException(ErrorCode.ALIGNMENT_LEAVES_NOTHING, List.of(violation))).violations())
                .containsExactly(violation);
    }

    @Test
    void onlyADatabaseThatDidNotAnswerMakesTheJobComeBack() {
        assertThat(Failure.ofDatabase(new DataAccessResourceFailureException("connection refused"))).isTrue();
        assertThat(Failure.ofDatabase(new CannotCreateTransactionException("no connection"))).isTrue();
        assertThat(Failure.ofDatabase(new JpaSystemException(new IllegalStateException(new SQLException("Connection is closed")))))
                .as("the pool's word for a connection that broke under a transaction").isTrue();
        assertThat(Failure.ofDatabase(new JpaSystemException(new IllegalStateException(new SQLException("idle", "25P03"))))).isTrue();
        assertThat(Failure.ofDatabase(new JpaSystemException(new IllegalStateException(new SQLException("no column", "42703"))))).isFalse();
        // as it comes when the connection broke in a transaction: the rollback's exception hides the first one
        assertThat(Failure.ofDatabase(new JpaSystemException(new TransactionException("Unable to rollback against JDBC Connection",
                new SQLException("Connection is closed"))))).isTrue();
        assertThat(Failure.ofDatabase(new DataIntegrityViolationException("our mistake"))).isFalse();
        assertThat(Failure.ofDatabase(new DataAccessResourceFailureException("could not extend file", FULL))).isFalse();
    }
}

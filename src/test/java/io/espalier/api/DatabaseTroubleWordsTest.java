package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.sql.SQLException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.dao.DataIntegrityViolationException;
import org.springframework.dao.PessimisticLockingFailureException;
import org.springframework.orm.jpa.JpaSystemException;
import org.springframework.transaction.CannotCreateTransactionException;

class DatabaseTroubleWordsTest {

    @ParameterizedTest
    @CsvSource({"55P03,another client of the database", "40P01,at once", "40001,at once", "57014,longer than a statement",
            "57P01,the database does not answer", "08006,the database does not answer", "53300,the database does not answer",
            "25P03,the database does not answer"})
    void aStateOfTheServerHasItsWords(String state, String words) {
        assertThat(DatabaseTrouble.of(new JpaSystemException(new IllegalStateException(new SQLException("x", state)))).orElseThrow())
                .contains(words);
        assertThat(DatabaseTrouble.of(new PessimisticLockingFailureException("x", new SQLException("x", state))).orElseThrow())
                .contains(words);
    }

    @Test
    void aPoolThatHasNothingToGiveIsTroubleToo() {
        assertThat(DatabaseTrouble.of(new CannotCreateTransactionException("x", new SQLException("request timed out after 700ms"))))
                .isPresent();
        assertThat(DatabaseTrouble.of(new JpaSystemException(new IllegalStateException(new SQLException("Connection is closed")))))
                .isPresent();
    }

    @Test
    void whatTheDatabaseRefusesForItsContentIsNot() {
        assertThat(DatabaseTrouble.of(new DataIntegrityViolationException("x", new SQLException("x", "23505")))).isEmpty();
        assertThat(DatabaseTrouble.of(new JpaSystemException(new IllegalStateException(new SQLException("x", "42703"))))).isEmpty();
        assertThat(DatabaseTrouble.of(new NullPointerException())).isEmpty();
    }
}

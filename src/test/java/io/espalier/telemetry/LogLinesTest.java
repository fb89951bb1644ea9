package io.espalier.telemetry;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;

import ch.qos.logback.classic.LoggerContext;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;
import org.slf4j.MDC;
import org.springframework.core.env.StandardEnvironment;

/** Who hears what of the log. */
class LogLinesTest {

    private static final Instant NOW = Instant.parse("2026-11-25T01:02:03Z");
    private final LoggerContext logback = new LoggerContext();
    private final Logger log = logback.getLogger("some.place.Speaker");
    private final LogLines lines = new LogLines(new Redaction(new StandardEnvironment()), Clock.fixed(NOW, ZoneOffset.UTC), logback);

    LogLinesTest() {
        logback.setMDCAdapter(MDC.getMDCAdapter());
        lines.attach();
    }

    @AfterEach
    void detach() {
        lines.detach();
        MDC.clear();
    }

    private void say(String job, String attempt, String words) {
        MDC.put(LogLines.JOB, job);
        MDC.put(LogLines.ATTEMPT, attempt);
        MDC.put(LogLines.WORKER, "host/1");
        log.info("{}", words);
        MDC.clear();
    }

    @Test
    void anAttemptHearsWhatIsSaidOfItWithoutSecretsAndNobodyElse() {
        try (LogLines.Piece piece = lines.of("job_1", 7)) {
            say("job_1", "7", "token=abcdef12 taken");
            say("job_1", "8", "of another attempt");
            say("job_2", "7", "of another job");
            log.info("of nothing");
            assertThat(piece.take()).containsExactly(new LogLine(NOW, "info", "Speaker", "token=*** taken", "host/1", null));
            assertThat(piece.take()).isEmpty();
        }
        assertThat(lines.recent()).anyMatch(line -> line.endsWith("info [job_2] Speaker: of another job"))
                .anyMatch(line -> line.endsWith("info [] Speaker: of nothing"));
    }

    @Test
    void whatCouldNotBeToldIsToldBeforeWhatCameLaterAndTheOldestGoWhenThereIsTooMuch() {
        try (LogLines.Piece piece = lines.of("job_1", 7)) {
            say("job_1", "7", "one");
            List<LogLine> untold = piece.take();
            say("job_1", "7", "two");
            piece.takeBack(untold);
            assertThat(piece.take()).extracting(LogLine::message).containsExactly("one", "two");
            for (int i = 0; i < 100; i++) {
                say("job_1", "7", i + "x".repeat(10_000));
            }
            assertThat(piece.take()).hasSize(26).last().extracting(LogLine::message).asString().startsWith("99x");
            say("job_1", "7", "y".repeat(100_000));
            assertThat(piece.take()).singleElement().extracting(line -> line.message().length()).isEqualTo(16_003);
        }
    }

    @Test
    void whenLoggingIsConfiguredAnewTheNextPieceIsHeardAllTheSame() {
        logback.stop();
        logback.reset();
        try (LogLines.Piece piece = lines.of("job_1", 7)) {
            say("job_1", "7", "after all");
            assertThat(piece.take()).extracting(LogLine::message).containsExactly("after all");
            lines.detach();
            say("job_1", "7", "nobody listens");
            assertThat(piece.take()).isEmpty();
        }
    }
}

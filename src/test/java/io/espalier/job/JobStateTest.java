package io.espalier.job;

import static io.espalier.job.JobState.CANCELLED;
import static io.espalier.job.JobState.CANCELLING;
import static io.espalier.job.JobState.FAILED;
import static io.espalier.job.JobState.QUEUED;
import static io.espalier.job.JobState.RUNNING;
import static io.espalier.job.JobState.SUCCEEDED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

import io.espalier.Orders;
import io.espalier.recipe.ErrorCode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class JobStateTest {

    private static final Map<JobState, Set<JobState>> LIFE = Map.of(
            QUEUED, Set.of(RUNNING, CANCELLED),
            RUNNING, Set.of(RUNNING, QUEUED, CANCELLING, SUCCEEDED, FAILED),
            CANCELLING, Set.of(CANCELLED),
            CANCELLED, Set.of(), SUCCEEDED, Set.of(), FAILED, Set.of());

    private static final Instant NOW = Instant.parse("2026-01-02T03:04:05.678901Z");

    private static final Map<JobState, Consumer<PruningJob>> VERB = Map.of(
            QUEUED, job -> job.release(NOW),
            RUNNING, job -> job.claim("w", "cpu", NOW),
            CANCELLING, job -> job.cancel(NOW),
            CANCELLED, job -> job.confirmCancelled(NOW),
            SUCCEEDED, job -> job.succeed(null, "art_1", "scr_1", NOW),
            FAILED, job -> job.fail(new JobError(ErrorCode.NOT_FINITE, "NaN", null), NOW));

    @ParameterizedTest
    @EnumSource
    void aStateGoesWhereTheTableSaysAndNowhereElse(JobState from) {
        for (JobState to : JobState.values()) {
            assertThat(from.mayBecome(to)).as("%s -> %s", from, to).isEqualTo(LIFE.get(from).contains(to));
        }
        assertThat(from.terminal()).isEqualTo(LIFE.get(from).isEmpty());
    }

    @ParameterizedTest
    @EnumSource
    void aVerbThatDoesNotFitIsRefusedNamingTheState(JobState from) {
        for (JobState to : JobState.values()) {
            PruningJob job = in(from);
            // asking a cancelling job again changes nothing; a queued one is cancelled at once
            if (to == CANCELLING && (from == CANCELLING || from == QUEUED)) {
                VERB.get(to).accept(job);
                assertThat(job.state()).isEqualTo(from == QUEUED ? CANCELLED : CANCELLING);
            } else if (LIFE.get(from).contains(to)) {
                VERB.get(to).accept(job);
                assertThat(job.state()).isEqualTo(to);
                assertThat(job.finishedAt() != null).isEqualTo(to.terminal());
            } else {
                assertThatThrownBy(() -> VERB.get(to).accept(job)).as("%s -> %s", from, to).isInstanceOf(JobStateException.class)
                        .hasMessageContaining("job_x is " + from.json());
                assertThat(job.state()).isEqualTo(from);
            }
        }
    }

    private static PruningJob in(JobState state) {
        PruningJob job = new PruningJob("job_x", Orders.recipe(), Orders.inputs(), NOW);
        if (state == CANCELLED) {
            VERB.get(CANCELLING).accept(job);
        } else if (state != QUEUED) {
            VERB.get(RUNNING).accept(job);
            if (state != RUNNING) {
                VERB.get(state).accept(job);
            }
        }
        assertThat(job.state()).isEqualTo(state);
        return job;
    }
}

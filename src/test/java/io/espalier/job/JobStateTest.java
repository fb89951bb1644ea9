package io.espalier.job;

import static io.espalier.job.JobState.CANCELLED;
import static io.espalier.job.JobState.CANCELLING;
import static io.espalier.job.JobState.FAILED;
import static io.espalier.job.JobState.PAUSED;
import static io.espalier.job.JobState.QUEUED;
import static io.espalier.job.JobState.RUNNING;
import static io.espalier.job.JobState.SUCCEEDED;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import java.util.Set;

import io.espalier.Orders;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class JobStateTest {

    private static final Map<JobState, Set<JobState>> LIFE = Map.of(
            QUEUED, Set.of(RUNNING, PAUSED, CANCELLED, FAILED),
            RUNNING, Set.of(QUEUED, PAUSED, CANCELLING, CANCELLED, SUCCEEDED, FAILED),
            PAUSED, Set.of(QUEUED, CANCELLED),
            CANCELLING, Set.of(CANCELLED),
            CANCELLED, Set.of(QUEUED), FAILED, Set.of(QUEUED), SUCCEEDED, Set.of());

    @ParameterizedTest
    @EnumSource
    void aStateGoesWhereTheTableSaysAndNowhereElse(JobState from) {
        for (JobState to : JobState.values()) {
            assertThat(from.mayBecome(to)).as("%s -> %s", from, to).isEqualTo(LIFE.get(from).contains(to));
        }
        assertThat(from.terminal()).isEqualTo(Set.of(CANCELLED, FAILED, SUCCEEDED).contains(from));
    }
}

package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;

import org.junit.jupiter.api.Test;

class JobProgressTest {

    @Test
    void nothingIsGuessedBeforeFivePercent() {
        assertThat(JobProgress.eta(0, 4.9, Duration.ofHours(1))).isNull();
        assertThat(JobProgress.eta(0, 0, Duration.ZERO)).isNull();
    }

    @Test
    void theRestTakesAsLongAsThePaceSoFarSays() {
        assertThat(JobProgress.eta(0, 25, Duration.ofSeconds(10))).isEqualTo(30);
        assertThat(JobProgress.eta(0, 100, Duration.ofSeconds(10))).isZero();
    }
}

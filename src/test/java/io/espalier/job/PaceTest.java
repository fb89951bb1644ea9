package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.time.Instant;
import java.util.List;

import io.espalier.recipe.Continuations;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Precision;
import io.espalier.recipe.PruningResult;
import org.junit.jupiter.api.Test;

class PaceTest {

    private static final Instant BEGIN = Instant.parse("2026-01-01T00:00:00Z");

    @Test
    void withoutAJobNothingIsSaid() {
        Paces.Estimate none = new Pace(List.of()).estimate(ahead("/m", 1000));
        assertThat(none).isEqualTo(new Paces.Estimate(null, null, null, 0.0, null, null, 0));
    }

    @Test
    void theMedianOfTheSameModelDecides() {
        Pace pace = new Pace(List.of(done("/m", 10), done("/m", 20), done("/m", 1000), done("/other", 1)));
        Paces.Estimate estimate = pace.estimate(ahead("/m", 1000));
        assertThat(estimate.calibrateSeconds()).isCloseTo(10, within(1e-9));
        assertThat(estimate.checkSeconds()).isCloseTo(1, within(1e-9));
        assertThat(estimate.cutSeconds()).isCloseTo(2, within(1e-9));
        assertThat(estimate.totalSeconds()).isCloseTo(13, within(1e-9));
        assertThat(estimate.basis()).isEqualTo("same_model");
        assertThat(estimate.jobs()).isEqualTo(4);
    }

    @Test
    void anotherModelIsJudgedByTheParametersThatWorkForAToken() {
        Paces.Estimate estimate = new Pace(List.of(done("/other", 20))).estimate(ahead("/m", 3000));
        assertThat(estimate.calibrateSeconds()).isCloseTo(30, within(1e-9));
        assertThat(estimate.basis()).isEqualTo("other_models");
        assertThat(new Pace(List.of(done("/other", 20))).estimate(ahead("/m", null)).totalSeconds()).isNull();
    }

    @Test
    void whatIsNotDoneTakesNoTime() {
        Paces.Estimate estimate = new Pace(List.of(done("/m", 20)))
                .estimate(new Paces.Ahead("/m", MethodName.HEAPR, Precision.F32, null, 0, 0, 0, 0L));
        assertThat(estimate.totalSeconds()).isZero();
    }

    @Test
    void jobsOfAnotherMethodOrPrecisionSayNothing() {
        Paces.Ahead ahead = new Paces.Ahead("/m", MethodName.FREQUENCY, Precision.BF16, 1000L, 2000, 0, 0, 7200L);
        assertThat(new Pace(List.of(done("/m", 20))).estimate(ahead).calibrateSeconds()).isNull();
    }

    @Test
    void whatDecodingTookIsNotCountedAsChecking() {
        Pace.Done plain = done("/m", 20);
        List<Integer> five = List.of(1, 2, 3, 4, 5);
        Continuations.Passage said = new Continuations.Passage(null, five);
        Continuations first = Continuations.of(List.of(new Continuations.Continued(0, said, said, said, said, 5)), 6);
        Continuations second = Continuations.of(List.of(new Continuations.Continued(0, said, said, said, said, 5)), 4);
        PruningResult result = plain.result().with(first);
        result = result.with(List.of(result.with(second).as(null)));
        Pace.Done spoken = new Pace.Done("/m", MethodName.HEAPR, Precision.F32, false, List.of(plain.phases().getLast()), result);
        Paces.Estimate estimate = new Pace(List.of(spoken))
                .estimate(new Paces.Ahead("/m", MethodName.HEAPR, Precision.F32, 1000L, 0, 3000, 30, 0L));
        // 15 tokens of three models in 6 + 4 seconds; 1500 checked in what is left of 15
        assertThat(estimate.continueSeconds()).isCloseTo(20, within(1e-9));
        assertThat(estimate.checkSeconds()).isCloseTo(10, within(1e-9));
        assertThat(new Pace(List.of(plain)).estimate(new Paces.Ahead("/m", MethodName.HEAPR, Precision.F32, 1000L, 0, 0, 1, 0L))
                .continueSeconds()).isNull();
    }

    /** 2000 tokens calibrated, 1500 checked in 15 s, 3600 bytes written in a second; 1000 parameters work for a token. */
    private static Pace.Done done(String model, int calibrateSeconds) {
        Instant calibrated = BEGIN.plusSeconds(calibrateSeconds);
        PruningResult result = new PruningResult(new PruningResult.Size(4000, 1000, 10, 8000), new PruningResult.Size(3000, 900, 8, 3600),
                null, new PruningResult.Coverage(2000, 1, 1, List.of()), new PruningResult.Perplexity(6, 7, 8.0, 500), null, null, null,
                null, null);
        return new Pace.Done(model, MethodName.HEAPR, Precision.F32, true,
                List.of(new PhaseTimes(Phase.CALIBRATE, BEGIN, calibrated),
                        new PhaseTimes(Phase.CUT, calibrated, calibrated.plusSeconds(1)),
                        new PhaseTimes(Phase.CHECK, calibrated.plusSeconds(1), calibrated.plusSeconds(16))),
                result);
    }

    /** 1000 tokens to calibrate, 100 to check, 7200 bytes to write. */
    private static Paces.Ahead ahead(String model, Integer activeParameters) {
        return new Paces.Ahead(model, MethodName.HEAPR, Precision.F32, activeParameters == null ? null : activeParameters.longValue(), 1000,
                100, 0, 7200L);
    }
}

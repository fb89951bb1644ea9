package io.espalier.chaos;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * An API process and two workers on one PostgreSQL, over HTTP, and some of them are killed or frozen. The small sister of {@link Kills} and
 * {@link Freezes}; {@link Audit} says what has to hold of a job afterwards.
 */
class KilledProcessesTest {

    private static final int SLICES = 3;

    private static Fleet fleet;
    private static Audit.Reference reference;

    @BeforeAll
    static void undisturbed() throws Exception {
        Path directory = Files.createTempDirectory(Files.createDirectories(Path.of("target", "chaos").toAbsolutePath()), "test-");
        fleet = new Fleet(directory, 2, Kills.SLICE);
        reference = Audit.reference(fleet, Kills.order(SLICES), Kills.LONGEST);
    }

    @AfterAll
    static void stop() throws IOException {
        if (fleet != null) {
            fleet.close();
        }
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.INCLUDE, names = {"SLICE_STORED", "MOVED", "API"})
    void aJobEndsInTheSameBytesWhoeverIsKilled(Moment moment) throws Exception {
        Killer killer = new Killer(fleet, new Random(moment.ordinal()), reference);
        Kills.Round round = Kills.round(fleet, killer, moment, Kills.order(SLICES), reference);
        assertThat(round.problems()).isEmpty();
        assertThat(round.kills()).hasSize(1);
        assertThat(round.kills().getFirst().lost()).as("what the worker was at").hasSize(moment == Moment.API ? 0 : 1);
    }

    /** A pod has a while to end in, and then is killed: whether the slice at work was saved and handed back by then is a matter of luck. */
    @Test
    void aJobWhoseWorkerIsEvictedInTheMiddleOfASliceEndsInTheSameBytesAndSaysWhatHappened() throws Exception {
        Kills.Round round = Kills.round(fleet, new Killer(fleet, new Random(7), reference), Moment.EVICTED, Kills.order(SLICES), reference);
        assertThat(round.problems()).isEmpty();
        assertThat(round.kills()).hasSize(1);
        assertThat(round.redone(SLICES)).as("slices begun again").isLessThanOrEqualTo(1);
        if (!round.kills().getFirst().lost().isEmpty()) {
            assertThat(round.events()).extracting(Fleet.Event::message)
                    .anySatisfy(message -> assertThat(message).endsWith("because the worker of the try before was lost"));
        }
    }

    @Test
    void aWorkerThatStoodStillPastItsLeaseChangesNothingAndIsCounted() throws Exception {
        Freezes.Round round = new Freezes(fleet, reference, Kills.order(SLICES)).round(Freezes.Where.SLICE);
        assertThat(round.problems()).isEmpty();
        assertThat(round.rejected()).isPositive();
    }
}

package io.espalier.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.Test;

class UlidsTest {

    @Test
    void idsOfOneMillisecondAndOfAClockThatFallsBackStillAscend() {
        Ulids ulids = new Ulids();
        List<String> ids = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
            ids.add(ulids.next(1_800_000_000_000L - i / 10));
        }
        assertThat(ids).isSorted().doesNotHaveDuplicates().allMatch(id -> id.matches("[0-9a-hjkmnp-tv-z]{26}"));
        assertThat(ulids.next(1_800_000_000_001L)).isGreaterThan(ids.getLast());
    }

    @Test
    void anIdBeginsWithItsTime() {
        assertThat(new Ulids().next(1_469_922_850_259L)).startsWith("01arz3ndek");
        assertThat(Ulids.millis(new Ulids().next(1_469_922_850_259L))).isEqualTo(1_469_922_850_259L);
        assertThat(Ulids.millis("lost+found")).as("no id").isNegative();
    }
}

package io.espalier.job;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.availability.ApplicationAvailability;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.scheduling.annotation.Scheduled;
import org.springframework.stereotype.Component;

/** Keeps house every few seconds, in every process: what two do at once is done once. */
@Component
class Housekeeper {

    private static final Logger log = LoggerFactory.getLogger(Housekeeper.class);

    private final Housekeeping house;
    private final ApplicationAvailability availability;

    Housekeeper(Housekeeping house, ApplicationAvailability availability) {
        this.house = house;
        this.availability = availability;
    }

    @Scheduled(initialDelayString = "${espalier.jobs.housekeeping}", fixedDelayString = "${espalier.jobs.housekeeping}")
    void keepHouse() {
        // why: a process that refuses traffic may be too old for the tables
        if (availability.getReadinessState() == ReadinessState.REFUSING_TRAFFIC) {
            return;
        }
        round(house::keepHouse);
        round(() -> house.contradictory().forEach(this::mend));
    }

    private static void round(Runnable work) {
        try {
            work.run();
        } catch (RuntimeException e) {
            log.warn("housekeeping was not done, the next round tries again: {}", e.toString());
        }
    }

    private void mend(String id) {
        try {
            house.mend(id);
        } catch (RuntimeException e) {
            log.warn("{} contradicts itself and was not put right, the next round tries again: {}", id, e.toString());
        }
    }
}

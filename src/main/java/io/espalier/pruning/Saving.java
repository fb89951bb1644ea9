package io.espalier.pruning;

import java.nio.file.Path;
import java.time.Duration;

import io.espalier.calibration.SavePoints;

/**
 * Where one slice saves how far it is, so that another process on this machine can go on from there.
 *
 * @param file of this slice alone; its directory is made when it is needed
 * @param attempt who saves: a number that nobody else has who may work at this slice
 * @param every no more often than this
 */
public record Saving(Path file, int attempt, Duration every) {

    SavePoints points(SavePoints.Story story) {
        return new SavePoints(file, attempt, every, story);
    }
}

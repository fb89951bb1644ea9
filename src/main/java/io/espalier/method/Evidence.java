package io.espalier.method;

import java.util.List;

import io.espalier.calibration.ExpertStatistics;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;

/**
 * What a criterion may look at.
 *
 * @param checkpoint the weights
 * @param experts every routed expert, in (layer, expert) order; the index into this list is an expert's ordinal
 * @param statistics by the same ordinals; {@code null} when the method sees no tokens
 */
public record Evidence(Checkpoint checkpoint, List<ExpertTensors> experts, ExpertStatistics statistics) {}

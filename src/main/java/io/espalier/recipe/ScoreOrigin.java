package io.espalier.recipe;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What scores are a function of.
 *
 * @param address of their content: SHA-256 over the fingerprint and the options of the method that change a score (64 hex digits). Scores of the same
 *     address are the same
 * @param fingerprint of the statistics, see {@link Slicing}
 * @param model as it was ordered
 * @param modelSha256 of the checkpoint's content
 * @param calibrationSha256 of the calibration token ids; {@code null} for methods that see none
 * @param method with its options; the scope is no part of it
 * @param precision of the matrix products
 */
@JsonNaming(SnakeCaseStrategy.class)
public record ScoreOrigin(String address, String fingerprint, String model, String modelSha256, String calibrationSha256,
        MethodChoice method,
        Precision precision) {}

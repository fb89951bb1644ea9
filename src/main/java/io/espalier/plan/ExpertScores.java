package io.espalier.plan;

/**
 * What the atoms of one routed expert are worth, and what one of them weighs.
 *
 * @param layer index of the decoder layer
 * @param expert index within the layer
 * @param scores one an atom; positive infinity ranks above every number, negative infinity below
 * @param parametersPerAtom values that one atom's rows and column hold
 * @param bytesPerAtom bytes that they take in the checkpoint
 */
public record ExpertScores(int layer, int expert, double[] scores, long parametersPerAtom, long bytesPerAtom) {}

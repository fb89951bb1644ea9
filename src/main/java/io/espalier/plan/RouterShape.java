package io.espalier.plan;

/**
 * What a plan has to know of a model's routers.
 *
 * @param topK experts that a token selects
 * @param parametersPerExpert values that each expert has beside its atoms and that go with it when it goes whole: its row of the router and the like
 * @param bytesPerExpert what these take in the checkpoint
 */
public record RouterShape(int topK, long[] parametersPerExpert, long[] bytesPerExpert) {}

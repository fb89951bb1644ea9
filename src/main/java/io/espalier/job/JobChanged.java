package io.espalier.job;

/**
 * A job has come into a state. Told within the transaction that makes it so, once its rows are written: who listens and writes, writes both or neither.
 *
 * @param job as it stands
 * @param event the line of its history that says so
 */
public record JobChanged(PruningJob job, JobEvent event) {}

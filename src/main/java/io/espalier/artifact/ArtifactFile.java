package io.espalier.artifact;

import jakarta.persistence.Embeddable;

/**
 * One file of an artifact.
 *
 * @param name relative to the artifact, with {@code /} between parts
 * @param bytes its length
 * @param sha256 of its content, hexadecimal
 */
@Embeddable
public record ArtifactFile(String name, long bytes, String sha256) {}

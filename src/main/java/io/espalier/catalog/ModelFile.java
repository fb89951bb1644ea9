package io.espalier.catalog;

/**
 * A file of a model.
 *
 * @param bytes its length
 * @param sha256 hexadecimal, lower case; {@code null} while it is not known
 */
public record ModelFile(String name, long bytes, String sha256) {}

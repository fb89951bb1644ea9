package io.espalier.security;

/**
 * Who holds a token that was found good.
 *
 * @param name for the log, unique to the key or to the token's subject
 * @param project the holder's own; {@code null} for one who sees every project
 * @param role what the holder may do
 */
public record Holder(String name, String project, Role role) {}

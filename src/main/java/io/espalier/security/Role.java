package io.espalier.security;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

import com.fasterxml.jackson.annotation.JsonValue;

/** What somebody may do; each may do what those before it may. */
public enum Role {
    /** Look at everything of the project, and ask what an order would do. */
    VIEWER,
    /** Order, stop, delete, register. */
    SUBMITTER,
    /** Everything, API keys included. */
    ADMIN;

    /** As it travels and is stored. */
    @JsonValue
    public String json() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The role of that word. */
    public static Optional<Role> of(String word) {
        return Arrays.stream(values()).filter(role -> role.json().equals(word)).findFirst();
    }

    /** Whether whoever has this role may do what needs that one. */
    public boolean covers(Role needed) {
        return compareTo(needed) >= 0;
    }
}

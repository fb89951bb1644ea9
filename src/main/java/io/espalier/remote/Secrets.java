package io.espalier.remote;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Pattern;

import org.springframework.core.env.Environment;
import org.springframework.stereotype.Component;

/**
 * Secrets by the name that clients know them by: files of a directory, one a secret, or settings {@code espalier.secrets.values.<name>}. They are looked up
 * each time they are used, and nothing else of the environment can be named.
 */
@Component
public final class Secrets {

    /** What a secret may be called. */
    public static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}");

    private static final String DEFAULT_PROJECT = "default";
    private static final int MAX_BYTES = 64 << 10;

    private final Path directory;
    private final Environment environment;

    Secrets(RemoteSettings settings, Environment environment) {
        this.directory = settings.secrets().directory();
        this.environment = environment;
    }

    /**
     * The secret, without white space around it; empty when there is none of this name, or nothing in it. A project's secrets lie in a directory of its
     * name; those that lie beside these directories, or are settings, are of the project {@code default}.
     */
    public Optional<String> find(String project, String name) {
        if (!NAME.matcher(name).matches() || !NAME.matcher(project).matches()) {
            return Optional.empty();
        }
        Optional<String> own = inFile(directory.resolve(project).resolve(name));
        return (DEFAULT_PROJECT.equals(project)
                ? own.or(() -> inFile(directory.resolve(name)))
                        .or(() -> Optional.ofNullable(environment.getProperty("espalier.secrets.values." + name)))
                : own).map(String::strip).filter(text -> !text.isEmpty());
    }

    private static Optional<String> inFile(Path file) {
        try {
            // why links are followed: orchestrators lay mounted secrets out as links; the name itself cannot lead anywhere
            return Files.isRegularFile(file) && Files.size(file) <= MAX_BYTES
                    ? Optional.of(Files.readString(file, StandardCharsets.UTF_8))
                    : Optional.empty();
        } catch (IOException unreadable) {
            return Optional.empty();
        }
    }
}

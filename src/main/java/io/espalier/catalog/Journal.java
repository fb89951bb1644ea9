package io.espalier.catalog;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * What is known of files on their way, for whoever goes on after a crash: of which state a file's bytes are, and the sums of whole files. One that is damaged
 * or lost costs reading, never a wrong file.
 */
final class Journal {

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final Path file;
    private final ObjectNode all;

    Journal(Path file) {
        this.file = file;
        this.all = read(file);
    }

    private static ObjectNode read(Path file) {
        try {
            return JSON.readTree(Files.readAllBytes(file)) instanceof ObjectNode known ? known : JSON.createObjectNode();
        } catch (JacksonException | IOException noneOrDamaged) {
            return JSON.createObjectNode();
        }
    }

    /** The commit that is fetched; {@code null} when none was named. */
    String revision() {
        return all.path("revision").asString(null);
    }

    void revision(String commit) throws IOException {
        if (commit != null && !commit.equals(revision())) {
            all.put("revision", commit);
            save();
        }
    }

    /** By which the server told the file's state when it was found. */
    String found(String name) {
        return entry(name).path("found").asString(null);
    }

    /** By which the server told the state of the bytes that are here. */
    String tag(String name) {
        return entry(name).path("tag").asString(null);
    }

    /** Of a whole file; {@code null} when it is not. */
    String sha256(String name) {
        return entry(name).path("sha256").asString(null);
    }

    void begun(String name, String found) throws IOException {
        ObjectNode entry = fresh(name);
        if (found != null) {
            entry.put("found", found);
        }
        save();
    }

    void tag(String name, String tag) throws IOException {
        ObjectNode entry = entry(name) instanceof ObjectNode known ? known : fresh(name);
        if (tag == null) {
            entry.remove("tag");
        } else {
            entry.put("tag", tag);
        }
        save();
    }

    void whole(String name, String sha256) throws IOException {
        (entry(name) instanceof ObjectNode known ? known : fresh(name)).put("sha256", sha256);
        save();
    }

    private JsonNode entry(String name) {
        return all.path("files").path(name);
    }

    private ObjectNode fresh(String name) {
        ObjectNode files = all.get("files") instanceof ObjectNode known ? known : all.putObject("files");
        return files.putObject(name);
    }

    private void save() throws IOException {
        Path beside = file.resolveSibling(file.getFileName() + ".new");
        try {
            Files.write(beside, JSON.writeValueAsString(all).getBytes(StandardCharsets.UTF_8));
            Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (NoSuchFileException e) {
            throw new StoppedException("its directory is gone");
        }
    }
}

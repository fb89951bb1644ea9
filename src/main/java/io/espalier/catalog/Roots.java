package io.espalier.catalog;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import io.espalier.recipe.Violation;

/**
 * The directories that jobs may name files in. A path is compared with the roots as text before the disk is touched, and as a real path after; whatever
 * leads out is answered in the same words as what does not exist, so that nobody learns what lies outside.
 */
final class Roots {

    private final List<Path> roots;

    Roots(List<Path> roots) {
        this.roots = roots.stream().map(root -> root.toAbsolutePath().normalize()).toList();
    }

    /** The real path of a directory under a root, none of whose files leads out of the roots; {@code null} and a violation otherwise. */
    Path directory(String text, String field, List<Violation> found) {
        Path real = real(text, field, found, "a directory");
        if (real == null) {
            return null;
        }
        if (!Files.isDirectory(real)) {
            found.add(new Violation(field, text, "a directory that holds a checkpoint, not a file"));
            return null;
        }
        try (Stream<Path> files = Files.list(real)) {
            for (Path file : files.sorted().toList()) {
                if (realUnderRoot(file) == null) {
                    found.add(new Violation(field, text, "a directory whose files exist under " + words() + "; " + file.getFileName()
                            + " does not"));
                    return null;
                }
            }
        } catch (IOException e) {
            found.add(new Violation(field, text, "a directory that this process may read"));
            return null;
        }
        return real;
    }

    /** The real path of a regular file under a root; {@code null} and a violation otherwise. */
    Path file(String text, String field, List<Violation> found) {
        Path real = real(text, field, found, "a file");
        if (real != null && !Files.isRegularFile(real)) {
            found.add(new Violation(field, text, "a regular file, not a directory or a device"));
            return null;
        }
        return real;
    }

    private Path real(String text, String field, List<Violation> found, String what) {
        Path path = plain(text);
        if (path == null) {
            found.add(new Violation(field, text, "an absolute path without .. in it"));
            return null;
        }
        Path real = isUnderRoot(path) ? realUnderRoot(path) : null;
        if (real == null) {
            found.add(new Violation(field, text, what + " that exists under " + words()));
        }
        return real;
    }

    /** Whether a real path lies under a root. */
    boolean allows(Path path) {
        return realUnderRoot(path) != null;
    }

    private static Path plain(String text) {
        try {
            Path path = Path.of(text);
            for (Path part : path) {
                if (part.toString().equals("..")) {
                    return null;
                }
            }
            return path.isAbsolute() ? path.normalize() : null;
        } catch (InvalidPathException e) {
            return null;
        }
    }

    private boolean isUnderRoot(Path path) {
        return roots.stream().anyMatch(path::startsWith) || realRoots().stream().anyMatch(path::startsWith);
    }

    private Path realUnderRoot(Path path) {
        try {
            Path real = path.toRealPath();
            return realRoots().stream().anyMatch(real::startsWith) ? real : null;
        } catch (IOException e) {
            return null;
        }
    }

    /** Looked up each time: a root may be mounted after the start. */
    private List<Path> realRoots() {
        List<Path> real = new ArrayList<>();
        for (Path root : roots) {
            try {
                real.add(root.toRealPath());
            } catch (IOException e) {
                // why: a root that does not exist allows nothing
            }
        }
        return real;
    }

    private String words() {
        return roots.isEmpty()
                ? "the configured roots, of which there are none (espalier.roots)"
                : roots.stream().map(Path::toString).collect(Collectors.joining(", ", "one of the roots ", ""));
    }
}

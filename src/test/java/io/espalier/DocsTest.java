package io.espalier;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the pages point at is there. */
class DocsTest {

    private static final Pattern LINK = Pattern.compile("\\[([^\\]]*)]\\(([^)\\s]+)\\)");
    private static final Pattern NAMED_FILE = Pattern.compile("`((?:src|migrations|\\.ci)/[^`\\s*<]+|openapi\\.yaml|pom\\.xml)`");
    private static final Pattern NAMED_METHOD = Pattern.compile("`[A-Za-z]+\\.([a-z][A-Za-z]*)`");
    private static final Pattern NAMED_TEST = Pattern.compile("`([A-Z][A-Za-z]+Test)`");

    static List<Path> pages() throws IOException {
        try (Stream<Path> docs = Files.walk(Path.of("src/docs"))) {
            return Stream.concat(Stream.of(Path.of("README.md")), docs.filter(page -> page.toString().endsWith(".md"))).sorted().toList();
        }
    }

    @ParameterizedTest
    @MethodSource("pages")
    void everyLinkLeadsToAFileAndEveryNamedMethodIsInIt(Path page) throws IOException {
        List<String> broken = new ArrayList<>();
        for (MatchResult link : LINK.matcher(Files.readString(page)).results().toList()) {
            String target = link.group(2);
            if (target.matches("https?:.*")) {
                continue;
            }
            Path file = target.startsWith("#") ? page : page.resolveSibling(target.replaceFirst("#.*", ""));
            if (!Files.exists(file)) {
                broken.add(target);
            } else if (target.contains("#") && !headings(file).contains(target.substring(target.indexOf('#') + 1))) {
                broken.add(target + " (no such heading)");
            } else if (target.endsWith(".java")) {
                NAMED_METHOD.matcher(link.group(1)).results().map(named -> named.group(1))
                        .filter(method -> !read(file).contains(method + "("))
                        .forEach(method -> broken.add(target + " (no " + method + ")"));
            }
        }
        assertThat(broken).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("pages")
    void everyFileAndTestThatIsMentionedExists(Path page) throws IOException {
        String text = Files.readString(page);
        assertThat(NAMED_FILE.matcher(text).results().map(named -> named.group(1)).filter(file -> !Files.exists(Path.of(file)))).isEmpty();
        try (Stream<Path> tests = Files.walk(Path.of("src/test/java"))) {
            List<String> known = tests.map(test -> test.getFileName().toString().replace(".java", "")).toList();
            assertThat(NAMED_TEST.matcher(text).results().map(named -> named.group(1)).filter(test -> !known.contains(test))).isEmpty();
        }
    }

    /** As web views of a repository name them: lower case, hyphens for spaces, nothing but letters, digits and hyphens. */
    private static List<String> headings(Path page) {
        return read(page).lines().filter(line -> line.startsWith("#"))
                .map(line -> line.replaceFirst("#+ ", "").toLowerCase(java.util.Locale.ROOT)
                        .replaceAll("[^\\w -]", "").replace(' ', '-'))
                .toList();
    }

    private static String read(Path file) {
        try {
            return Files.isDirectory(file) ? "" : Files.readString(file);
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}

package io.espalier.api;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import io.espalier.catalog.Corpora;
import io.espalier.catalog.Corpus;
import io.espalier.recipe.Violation;

/**
 * A corpus to be registered. Exactly one of text, path, url and mix is given.
 *
 * @param project {@code null}: the caller's own, or {@code default}
 * @param field that holds the text in each line of a path or address with JSON Lines
 */
record CorpusOrder(String name, String project, String description, String text, String path, String url, String field,
        List<Corpus.Part> mix) {

    private static final Pattern NAME = Pattern.compile("[a-z0-9][a-z0-9._-]{0,62}");

    /** All that is wrong with it by itself. */
    List<Violation> violations(Caller caller) {
        List<Violation> found = new ArrayList<>(labelViolations(name, project, caller));
        if (field != null && path == null && url == null) {
            found.add(new Violation("field", Given.printable(field), "absent, only lines behind a path or a url have fields"));
        }
        for (int i = 0; mix != null && i < mix.size(); i++) {
            if (mix.get(i) == null) {
                found.add(Violation.missing("mix[" + i + "]", "a corpus and its weight"));
            }
        }
        long given = Stream.of(text, path, url, mix).filter(Objects::nonNull).count();
        if (given != 1) {
            found.add(new Violation("", given + " of text, path, url and mix", "exactly one of them"));
        }
        return found;
    }

    static List<Violation> labelViolations(String name, String project, Caller caller) {
        List<Violation> found = new ArrayList<>();
        if (name != null && !NAME.matcher(name).matches()) {
            found.add(new Violation("name", Given.printable(name), "1 to 63 of a-z, 0-9, ., _ and -, beginning with a letter or digit"));
        }
        found.addAll(caller.foreign(project));
        return found;
    }

    Corpora.Label label(Caller caller) {
        boolean lines = url != null && url.replaceFirst("[?#].*", "").endsWith(".jsonl");
        return new Corpora.Label(name, caller.owner(project), description == null ? "" : description,
                lines && field == null ? "text" : field);
    }
}

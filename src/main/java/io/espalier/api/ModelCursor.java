package io.espalier.api;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import io.espalier.catalog.Model;
import io.espalier.catalog.Models;

/** A place in the list of models, which is by name. Opaque outside. */
final class ModelCursor {

    private static final Pattern PLACE = Pattern.compile("([a-z0-9-]{1,63})/([A-Za-z0-9._-]{1,128})");

    private ModelCursor() {}

    /** @throws ProblemException when the text is none that {@link #of} gave */
    static Models.Place parse(String text) {
        try {
            Matcher place = PLACE.matcher(new String(Base64.getUrlDecoder().decode(text), StandardCharsets.UTF_8));
            if (place.matches()) {
                return new Models.Place(place.group(2), place.group(1));
            }
        } catch (IllegalArgumentException e) {
            // no Base64: said below
        }
        throw new ProblemException(ProblemCode.INVALID_CURSOR,
                "cursor: " + Given.printable(text) + " (expected: next_cursor of a page before, as it was given)");
    }

    static String of(Model last) {
        return Base64.getUrlEncoder().withoutPadding()
                .encodeToString((last.project() + "/" + last.name()).getBytes(StandardCharsets.UTF_8));
    }
}

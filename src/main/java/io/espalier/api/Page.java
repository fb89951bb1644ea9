package io.espalier.api;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.regex.Pattern;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/** @param nextCursor {@code null} at the end */
@JsonNaming(SnakeCaseStrategy.class)
record Page<T>(List<T> items, String nextCursor) {

    /** A list that is short enough to be given whole. */
    record Whole<T>(List<T> items) {}

    /** @param nextAfter where to go on, whether or not there is more yet */
    @JsonNaming(SnakeCaseStrategy.class)
    record Growing<T>(List<T> items, long nextAfter) {}

    /** A place in a list whose ids sort by time. Opaque outside, so that what it holds may change. */
    record Cursor(String afterId) {

        private static final Pattern ID = Pattern.compile("[a-z]{3}_[0-9a-z]{1,64}");

        /**
         * @param prefix of the list's ids
         * @throws ProblemException when the text is none that {@link #text()} gave for this list
         */
        static Cursor parse(String text, String prefix) {
            try {
                String id = new String(Base64.getUrlDecoder().decode(text), StandardCharsets.UTF_8);
                if (ID.matcher(id).matches() && id.startsWith(prefix)) {
                    return new Cursor(id);
                }
            } catch (IllegalArgumentException e) {
                // no Base64: said below
            }
            throw new ProblemException(ProblemCode.INVALID_CURSOR,
                    "cursor: " + Given.printable(text) + " (expected: next_cursor of a page before, as it was given)");
        }

        String text() {
            return Base64.getUrlEncoder().withoutPadding().encodeToString(afterId.getBytes(StandardCharsets.UTF_8));
        }
    }
}

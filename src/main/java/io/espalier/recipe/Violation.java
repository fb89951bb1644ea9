package io.espalier.recipe;

/**
 * One thing wrong with an order.
 *
 * @param field where, as a dotted path into the request body ({@code budget.ratio}); empty for the body as a whole
 * @param given what stood there, as text; {@code null} when nothing did
 * @param expected what would have been right, as a phrase
 */
public record Violation(String field, String given, String expected) {

    public static Violation missing(String field, String expected) {
        return new Violation(field, null, expected);
    }

    private static final String EXPECTED = " (expected: ";

    /** A sentence that says given and expected as ours do, taken apart. */
    public static Violation said(String field, String sentence) {
        int at = sentence.lastIndexOf(EXPECTED);
        return at < 0
                ? new Violation(field, sentence, "what the run can work with")
                : new Violation(field, sentence.substring(0, at),
                        sentence.substring(at + EXPECTED.length()).replaceFirst("\\)[.;]?$", ""));
    }

    /** {@code budget.ratio: 1.5 (expected: more than 0 and less than 1)}. */
    public String sentence() {
        return (field.isEmpty() ? "body" : field) + ": " + (given == null ? "missing" : given) + EXPECTED + expected + ")";
    }
}

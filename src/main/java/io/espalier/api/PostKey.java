package io.espalier.api;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Pattern;

import jakarta.servlet.http.HttpServletRequest;

import io.espalier.job.IdempotencyKey;
import io.espalier.recipe.Violation;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.cfg.JsonNodeFeature;
import tools.jackson.databind.json.JsonMapper;

/** The {@code Idempotency-Key} of a post, and the one spelling of its body: whoever posts again may order the fields otherwise, or write 0.250 for 0.25. */
final class PostKey {

    static final String REPLAYED = "Idempotency-Replayed";

    private static final String HEADER = "Idempotency-Key";
    private static final Pattern KEYS = Pattern.compile("[\\x21-\\x7E]{1,255}");
    private static final JsonMapper CANONICAL = JsonMapper.builder().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .enable(JsonNodeFeature.WRITE_PROPERTIES_SORTED, JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES).build();

    private PostKey() {}

    /**
     * The key; {@code null} when the client gave none.
     *
     * @throws ProblemException when it cannot be kept
     */
    static String of(HttpServletRequest request) {
        List<String> given = Collections.list(request.getHeaders(HEADER));
        if (given.isEmpty()) {
            return null;
        }
        if (given.size() > 1 || !KEYS.matcher(given.getFirst()).matches()) {
            throw ProblemException.violated(ProblemCode.INVALID_REQUEST, List.of(new Violation(HEADER,
                    given.size() > 1 ? given.size() + " times" : Given.printable(given.getFirst()),
                    "once, 1 to 255 printable ASCII characters without a space")));
        }
        return given.getFirst();
    }

    /**
     * @param key {@code null} for none
     * @param body that was parsed before
     * @return {@code null} for none
     */
    static IdempotencyKey with(String key, byte[] body) {
        if (key == null) {
            return null;
        }
        try {
            byte[] canonical = CANONICAL.writeValueAsBytes(CANONICAL.readTree(body));
            return new IdempotencyKey(key, HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(canonical)));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}

package io.espalier.webhook;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

import io.espalier.job.IdempotencyKey;

/**
 * What the id of a webhook remembers of the key that it was posted with, in place of chance behind the time: 50 bits of project and key, 30 of the body.
 * So a post that comes again finds its webhook, for as long as there is one, without anything else that is kept. An id opens nothing, and may be
 * foreseen by whoever chose the key.
 *
 * @param key 10 characters
 * @param body 6 characters
 */
record PostedOnce(String key, String body) {

    /** Where {@link #key} begins in an id, counted from 1 as SQL does: behind the prefix and the ten characters of the time. */
    static final int FROM = Webhooks.PREFIX.length() + 11;
    static final int KEY = 10;

    private static final String ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
    private static final int BODY = 6;

    static PostedOnce of(String project, IdempotencyKey key) {
        return new PostedOnce(characters(KEY, project + '\0' + key.key()), characters(BODY, key.fingerprint()));
    }

    /** The id of a webhook that is made now. */
    String id(String ulid) {
        return Webhooks.PREFIX + ulid.substring(0, 10) + key + body;
    }

    boolean sameBody(String id) {
        return id.endsWith(body);
    }

    private static String characters(int count, String text) {
        try {
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            StringBuilder characters = new StringBuilder(count);
            for (int i = 0; i < count; i++) {
                characters.append(ALPHABET.charAt(sum[i] & 31));
            }
            return characters.toString();
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}

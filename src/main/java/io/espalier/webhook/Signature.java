package io.espalier.webhook;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.List;

import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Standard Webhooks 1.0, symmetric: HMAC-SHA256 over {@code id.timestamp.body}, keyed with what follows {@code whsec_}. */
final class Signature {

    private static final String PREFIX = "whsec_";
    private static final int BYTES = 32;
    private static final int LEAST = 24;
    private static final int MOST = 64;
    private static final SecureRandom RANDOM = new SecureRandom();

    private Signature() {}

    static String newSecret() {
        byte[] key = new byte[BYTES];
        RANDOM.nextBytes(key);
        return PREFIX + Base64.getEncoder().encodeToString(key);
    }

    /** Whether a text is a secret: the prefix, then 24 to 64 bytes in Base64. */
    static boolean isSecret(String text) {
        try {
            int length = text.startsWith(PREFIX) ? Base64.getDecoder().decode(text.substring(PREFIX.length())).length : 0;
            return length >= LEAST && length <= MOST;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** The header {@code webhook-signature}: one signature for each secret, the newest first. */
    static String of(List<String> secrets, String id, long timestamp, String body) {
        byte[] signed = (id + "." + timestamp + "." + body).getBytes(StandardCharsets.UTF_8);
        return String.join(" ", secrets.stream().map(secret -> "v1," + Base64.getEncoder().encodeToString(hmac(secret, signed))).toList());
    }

    private static byte[] hmac(String secret, byte[] signed) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.substring(PREFIX.length())), "HmacSHA256"));
            return mac.doFinal(signed);
        } catch (GeneralSecurityException e) {
            throw new AssertionError("every Java has HMAC-SHA256", e);
        }
    }
}

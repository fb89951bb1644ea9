package io.espalier.security;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32;

/**
 * An API key as its holder has it: {@code esp_}, the 26 characters of its id, {@code _}, 52 characters that nobody can guess (32 random bytes), and 7 of a
 * checksum (CRC-32 of all before), by which a key that was cut short or mistyped, or one in a repository, is told without asking anybody.
 *
 * @param id {@code key_...}
 * @param sha256 of the whole text, hexadecimal: all that is ever stored. One hash is enough for 256 random bits
 */
record KeyText(String id, String sha256) {

    static final String PREFIX = "esp_";
    static final String ID_PREFIX = "key_";

    private static final Pattern FORM = Pattern.compile(PREFIX + "([0-9a-z]{26})_[0-9a-z]{52}([0-9a-z]{7})");
    private static final char[] DIGITS = "0123456789abcdefghjkmnpqrstvwxyz".toCharArray();
    private static final int CHECKSUM = 7;

    /** A new key. */
    static String random(SecureRandom random, long epochMillis) {
        byte[] id = new byte[16];
        random.nextBytes(id);
        for (int i = 0; i < 6; i++) {
            // why: ids sort by the time they were made
            id[i] = (byte) (epochMillis >>> (40 - 8 * i));
        }
        byte[] secret = new byte[32];
        random.nextBytes(secret);
        String text = PREFIX + base32(id) + '_' + base32(secret);
        return text + checksum(text);
    }

    /** Reads one; empty when it is none, or not whole. */
    static Optional<KeyText> parse(String text) {
        Matcher form = FORM.matcher(text);
        if (!form.matches() || !checksum(text.substring(0, text.length() - CHECKSUM)).equals(form.group(2))) {
            return Optional.empty();
        }
        return Optional.of(new KeyText(ID_PREFIX + form.group(1), sha256(text)));
    }

    static String sha256(String text) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }

    /** In a time that does not depend on where they differ. */
    static boolean equal(String one, String other) {
        return MessageDigest.isEqual(one.getBytes(StandardCharsets.US_ASCII), other.getBytes(StandardCharsets.US_ASCII));
    }

    private static String checksum(String text) {
        CRC32 sum = new CRC32();
        sum.update(text.getBytes(StandardCharsets.US_ASCII));
        long value = sum.getValue();
        return base32(new byte[]{(byte) (value >>> 24), (byte) (value >>> 16), (byte) (value >>> 8), (byte) value});
    }

    /** Crockford's digits, five bits each, the last one filled with zeros. */
    private static String base32(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        int held = 0;
        int bits = 0;
        for (byte b : bytes) {
            held = (held << 8 | b & 0xff) & 0xffff;
            for (bits += 8; bits >= 5; bits -= 5) {
                text.append(DIGITS[held >>> (bits - 5) & 31]);
            }
        }
        return bits == 0 ? text.toString() : text.append(DIGITS[held << (5 - bits) & 31]).toString();
    }
}

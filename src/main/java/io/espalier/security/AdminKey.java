package io.espalier.security;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The first administrator's key, read from a file once: it makes the others. Anything that is long enough will do.
 *
 * @param sha256 of the file's content, {@code null} when there is no file
 */
record AdminKey(String sha256) {

    private static final int SHORTEST = 32;
    private static final Holder HOLDER = new Holder("admin-key-file", null, Role.ADMIN);

    /**
     * Reads the file.
     *
     * @throws IOException when it cannot be read or holds no key
     */
    static AdminKey read(String file) throws IOException {
        if (file == null || file.isBlank()) {
            return new AdminKey(null);
        }
        String content = Files.readString(Path.of(file)).strip();
        if (!content.matches("[A-Za-z0-9._~+/=-]{" + SHORTEST + ",512}")) {
            // why without the content: it may be a secret all the same
            throw new IOException(content.length() + " characters (expected: " + SHORTEST
                    + " to 512 letters, digits and any of . _ ~ + / = -, such as openssl rand -hex 32 prints)");
        }
        return new AdminKey(KeyText.sha256(content));
    }

    /** The administrator, when this is the key; otherwise {@code null}. */
    Holder holder(String text) {
        return sha256 != null && KeyText.equal(sha256, KeyText.sha256(text)) ? HOLDER : null;
    }
}

package io.espalier.catalog;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * What a file sums up to, hexadecimal.
 *
 * @param sha256 of its bytes
 * @param gitBlob its name in git: SHA-1 over {@code blob}, a space, the length in decimal, a zero byte, and the bytes
 */
record Sums(String sha256, String gitBlob) {

    /** @param goOn asked at every MiB; what it throws ends the reading */
    static Sums of(Path file, Runnable goOn) throws IOException {
        MessageDigest sha256 = digest("SHA-256");
        MessageDigest gitBlob = digest("SHA-1");
        gitBlob.update(("blob " + Files.size(file) + "\0").getBytes(StandardCharsets.US_ASCII));
        byte[] buffer = new byte[1 << 20];
        try (InputStream in = Files.newInputStream(file)) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                goOn.run();
                sha256.update(buffer, 0, n);
                gitBlob.update(buffer, 0, n);
            }
        }
        return new Sums(HexFormat.of().formatHex(sha256.digest()), HexFormat.of().formatHex(gitBlob.digest()));
    }

    private static MessageDigest digest(String name) {
        try {
            return MessageDigest.getInstance(name);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has " + name, e);
        }
    }
}

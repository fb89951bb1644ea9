package io.espalier.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 over named contents, unambiguous about where one ends, with a fixed amount of memory. */
final class ContentDigest {

    private static final int CHUNK = 1 << 20;

    private final MessageDigest sha256;
    private final byte[] chunk = new byte[CHUNK];

    ContentDigest() {
        try {
            sha256 = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException everyJdkHasIt) {
            throw new IllegalStateException(everyJdkHasIt);
        }
    }

    void add(Path file, MemorySegment content) {
        sha256.update(file.getFileName().toString().getBytes(StandardCharsets.UTF_8));
        sha256.update((byte) 0);
        sha256.update(ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(content.byteSize()).flip());
        for (long at = 0; at < content.byteSize(); at += CHUNK) {
            int length = (int) Math.min(CHUNK, content.byteSize() - at);
            MemorySegment.copy(content, ValueLayout.JAVA_BYTE, at, chunk, 0, length);
            sha256.update(chunk, 0, length);
        }
    }

    String hex() {
        return HexFormat.of().formatHex(sha256.digest());
    }
}

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
import java.util.function.LongConsumer;

/** SHA-256 over named contents, unambiguous about which is which, with a fixed amount of memory. */
final class ContentDigest {

    private static final int CHUNK = 1 << 20;

    private final MessageDigest sha256 = sha256();

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException everyJdkHasIt) {
            throw new IllegalStateException(everyJdkHasIt);
        }
    }

    /**
     * SHA-256 of one content, 32 bytes.
     *
     * @param read hears of bytes that were read, about every MiB; what it throws ends the reading
     */
    static byte[] of(MemorySegment content, LongConsumer read) {
        MessageDigest sha256 = sha256();
        byte[] chunk = new byte[CHUNK];
        for (long at = 0; at < content.byteSize(); at += CHUNK) {
            int length = (int) Math.min(CHUNK, content.byteSize() - at);
            MemorySegment.copy(content, ValueLayout.JAVA_BYTE, at, chunk, 0, length);
            sha256.update(chunk, 0, length);
            read.accept(length);
        }
        return sha256.digest();
    }

    /** @param content SHA-256 of the file's content */
    void add(Path file, long length, byte[] content) {
        sha256.update(file.getFileName().toString().getBytes(StandardCharsets.UTF_8));
        sha256.update((byte) 0);
        sha256.update(ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(length).flip());
        sha256.update(content);
    }

    String hex() {
        return HexFormat.of().formatHex(sha256.digest());
    }
}

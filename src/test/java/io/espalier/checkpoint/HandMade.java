package io.espalier.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Safetensors files byte by byte, lies included. */
final class HandMade {

    private HandMade() {}

    /** A file with the header as given and so many bytes 0, 1, 2, ... behind it. */
    static Path file(Path path, String header, int data) {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        return file(path, json.length, json, data);
    }

    /** A file whose header length says what it likes. */
    static Path file(Path path, long headerLength, byte[] header, int data) {
        ByteBuffer bytes = ByteBuffer.allocate(8 + header.length + data).order(ByteOrder.LITTLE_ENDIAN).putLong(headerLength).put(header);
        for (int i = 0; i < data; i++) {
            bytes.put((byte) i);
        }
        try {
            return Files.write(path, bytes.array());
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    /** A header entry. */
    static String entry(String name, String dtype, String shape, String offsets) {
        return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
    }
}

package io.espalier.artifact;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * An artifact as one POSIX tar (IEEE 1003.1, ustar; pax records for what its fields cannot hold), computed while it is read: its length and every one of its
 * bytes follow from the row, so that it is the same each time and can be fetched in ranges. Files in the order of their names, under a directory named
 * by the artifact's id, all of its time.
 */
public final class Archive {

    private static final int BLOCK = 512;
    /** Eleven octal digits. */
    private static final long LARGEST = 0_77777777777L;
    private static final int NAME = 100;

    /** Where the bytes of a file come from. */
    @FunctionalInterface
    interface Source {
        void write(ArtifactFile file, long from, long to, OutputStream out) throws IOException;
    }

    /**
     * Some of the archive's bytes: at hand, or, when not, a file's.
     *
     * @param from where they begin in the archive
     */
    private record Stretch(long from, long bytes, byte[] atHand, ArtifactFile file) {}

    private final List<Stretch> stretches = new ArrayList<>();
    private final Source source;
    private final String tag;
    private long length;

    private Archive(Artifact artifact, Source source) {
        this.source = source;
        StringBuilder identity = new StringBuilder("tar ");
        long seconds = artifact.createdAt().getEpochSecond();
        for (ArtifactFile file : artifact.files()) {
            String name = artifact.id() + "/" + file.name();
            add(headers(name, file.bytes(), seconds));
            stretches.add(new Stretch(length, file.bytes(), null, file));
            length += file.bytes();
            add(new byte[(int) (-file.bytes() & BLOCK - 1)]);
            identity.append(name).append('\0').append(file.bytes()).append(file.sha256()).append(seconds);
        }
        add(new byte[2 * BLOCK]);
        this.tag = sha256(identity.toString());
    }

    static Archive of(Artifact artifact, Source source) {
        return new Archive(artifact, source);
    }

    private void add(byte[] bytes) {
        stretches.add(new Stretch(length, bytes.length, bytes, null));
        length += bytes.length;
    }

    /** Of all of it, in bytes. */
    public long length() {
        return length;
    }

    /** The same for the same bytes, another for others. */
    public String tag() {
        return tag;
    }

    /** Writes the bytes from the first position (inclusive) to the second (exclusive). */
    public void write(long from, long to, OutputStream out) throws IOException {
        for (Stretch stretch : stretches) {
            long begin = Math.max(from, stretch.from) - stretch.from;
            long end = Math.min(to, stretch.from + stretch.bytes) - stretch.from;
            if (begin < end) {
                if (stretch.atHand == null) {
                    source.write(stretch.file, begin, end, out);
                } else {
                    out.write(stretch.atHand, (int) begin, (int) (end - begin));
                }
            }
        }
    }

    private static byte[] headers(String name, long bytes, long seconds) {
        StringBuilder records = new StringBuilder();
        byte[] path = name.getBytes(StandardCharsets.UTF_8);
        if (path.length > NAME || path.length > name.length()) {
            records.append(pax("path", name));
        }
        if (bytes > LARGEST) {
            records.append(pax("size", String.valueOf(bytes)));
        }
        byte[] file = header(path, bytes > LARGEST ? 0 : bytes, seconds, '0');
        if (records.isEmpty()) {
            return file;
        }
        byte[] content = records.toString().getBytes(StandardCharsets.UTF_8);
        byte[] all = new byte[BLOCK + Math.ceilDiv(content.length, BLOCK) * BLOCK + BLOCK];
        System.arraycopy(header("PaxHeaders/file".getBytes(StandardCharsets.US_ASCII), content.length, seconds, 'x'), 0, all, 0, BLOCK);
        System.arraycopy(content, 0, all, BLOCK, content.length);
        System.arraycopy(file, 0, all, all.length - BLOCK, BLOCK);
        return all;
    }

    /** {@code length key=value} and a line end; the length counts itself, in bytes. */
    private static String pax(String key, String value) {
        int rest = (" " + key + "=" + value + "\n").getBytes(StandardCharsets.UTF_8).length;
        int all = rest + String.valueOf(rest).length();
        all = rest + String.valueOf(all).length();
        return all + " " + key + "=" + value + "\n";
    }

    private static byte[] header(byte[] name, long bytes, long seconds, char type) {
        byte[] header = new byte[BLOCK];
        System.arraycopy(name, 0, header, 0, Math.min(NAME, name.length));
        put(header, 100, "0000644\0");
        put(header, 108, "0000000\0");
        put(header, 116, "0000000\0");
        put(header, 124, String.format("%011o\0", bytes));
        put(header, 136, String.format("%011o\0", seconds));
        Arrays.fill(header, 148, 156, (byte) ' ');
        header[156] = (byte) type;
        put(header, 257, "ustar\00000");
        put(header, 329, "0000000\0");
        put(header, 337, "0000000\0");
        int sum = 0;
        for (byte one : header) {
            sum += one & 0xff;
        }
        put(header, 148, String.format("%06o\0 ", sum));
        return header;
    }

    private static void put(byte[] header, int at, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(bytes, 0, header, at, bytes.length);
    }

    private static String sha256(String text) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}

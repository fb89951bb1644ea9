package io.espalier.job;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.stereotype.Component;

/**
 * Where the statistics of finished slices lie until their job is finished: in the database, because the next worker may be on another machine. Each
 * chunk is a short write of its own under the writer's fencing token; nothing refers to them until {@link PieceReports#measured} does.
 */
@Component
public class SliceShelf {

    private static final int CHUNK_BYTES = 1 << 20;

    private final JdbcTemplate jdbc;

    SliceShelf(JdbcTemplate jdbc) {
        this.jdbc = jdbc;
    }

    /**
     * @param sha256 64 hex digits
     * @param bytes of the file
     */
    public record Sum(String sha256, long bytes) {}

    /**
     * Stores a file; what lost attempts stored of the same slice goes.
     *
     * @throws IOException when the file cannot be read
     */
    public Sum keep(Lease lease, Path file) throws IOException {
        jdbc.update("delete from slice_chunk where job_id = ? and piece = ? and attempt <= ?", lease.jobId(), lease.piece(),
                lease.attempt());
        MessageDigest digest = sha256();
        long bytes = 0;
        try (InputStream in = Files.newInputStream(file)) {
            int number = 0;
            for (byte[] chunk = in.readNBytes(CHUNK_BYTES); chunk.length > 0; chunk = in.readNBytes(CHUNK_BYTES)) {
                jdbc.update("insert into slice_chunk (job_id, piece, attempt, number, content) values (?, ?, ?, ?, ?)", lease.jobId(),
                        lease.piece(), lease.attempt(), number++, chunk);
                digest.update(chunk);
                bytes += chunk.length;
            }
        }
        return new Sum(HexFormat.of().formatHex(digest.digest()), bytes);
    }

    /**
     * Writes what is stored of a finished slice into a file.
     *
     * @return what is wrong with it, or {@code null} when it is what was stored
     * @throws IOException when the file cannot be written
     */
    public String fetch(Piece slice, Path file) throws IOException {
        if (!slice.is(Piece.State.DONE)) {
            return "it is " + slice.state().json() + " (expected: done)";
        }
        MessageDigest digest = sha256();
        long bytes = 0;
        try (OutputStream out = Files.newOutputStream(file)) {
            for (int number = 0; bytes < slice.bytes(); number++) {
                byte[] chunk = jdbc.query("select content from slice_chunk where job_id = ? and piece = ? and attempt = ? and number = ?",
                        row -> row.next() ? row.getBytes(1) : null, slice.jobId(), slice.number(), slice.attempt(), number);
                if (chunk == null) {
                    return bytes + " bytes are there (expected: " + slice.bytes() + ")";
                }
                out.write(chunk);
                digest.update(chunk);
                bytes += chunk.length;
            }
        }
        String sum = HexFormat.of().formatHex(digest.digest());
        return sum.equals(slice.sha256()) ? null : "SHA-256 " + sum + " (expected: " + slice.sha256() + ")";
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}

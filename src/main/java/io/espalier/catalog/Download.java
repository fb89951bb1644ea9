package io.espalier.catalog;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;

import io.espalier.remote.RemoteException;
import io.espalier.remote.RemoteFile;
import io.espalier.remote.RemoteFile.Digest;
import io.espalier.remote.RemoteFiles;

/**
 * Files from elsewhere, one after the other. A connection that breaks is taken up at the byte where it broke, also by another process; a file counts as whole
 * when its length and the sum that was promised fit.
 */
final class Download {

    private static final int BUFFER = 1 << 18;
    private static final Duration LONGEST_PAUSE = Duration.ofMinutes(1);

    private final RemoteFiles remote;
    private final Journal journal;
    private final Path files;
    private final Path parts;
    private final Held held;
    private final ModelSettings settings;

    Download(RemoteFiles remote, Journal journal, Path files, Path parts, Held held, ModelSettings settings) {
        this.remote = remote;
        this.journal = journal;
        this.files = files;
        this.parts = parts;
        this.held = held;
        this.settings = settings;
    }

    /** Something that is asked of the other side. */
    @FunctionalInterface
    interface Question<T> {
        T ask() throws RemoteException;
    }

    /** Asks until there is an answer, or it is no use any more. */
    <T> T persist(Question<T> question) throws RemoteException {
        for (int failures = 0;; failures++) {
            try {
                return question.ask();
            } catch (RemoteException e) {
                restAfter(e, failures);
            }
        }
    }

    private void restAfter(RemoteException e, int failures) throws RemoteException {
        held.goOn();
        if (!e.passing() || failures >= settings.retries()) {
            throw e;
        }
        Duration pause = settings.retryBackoff().multipliedBy(1L << Math.min(failures, 20));
        held.rest(pause.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause);
    }

    /** Bytes of these files that are here already. */
    long there(List<RemoteFile> wanted) {
        return wanted.stream().mapToLong(file -> Math.max(length(parts.resolve(file.name())), length(files.resolve(file.name())))).sum();
    }

    /** @param before the files that are whole by now */
    ModelFile file(RemoteFile file, List<ModelFile> before) throws IOException {
        Path whole = files.resolve(file.name());
        Path part = parts.resolve(file.name());
        if (journal.found(file.name()) == null || !journal.found(file.name()).equals(file.tag())) {
            // why: of another state of the file, or nobody can say of which
            Files.deleteIfExists(whole);
            Files.deleteIfExists(part);
            journal.begun(file.name(), file.tag());
        }
        long had = before.stream().mapToLong(ModelFile::bytes).sum();
        if (journal.sha256(file.name()) == null || !Files.isRegularFile(whole)) {
            fetch(file, part, had);
            String sha256 = checked(file, part);
            if (sha256 == null) {
                fetch(file, part, had);
                sha256 = checked(file, part);
            }
            if (sha256 == null) {
                throw new FetchFailedException(file.name() + " does not sum up to what its server promised, " + file.digest().hex()
                        + ", fetched twice");
            }
            Files.move(part, whole, StandardCopyOption.ATOMIC_MOVE);
            journal.whole(file.name(), sha256);
        }
        long bytes = Files.size(whole);
        held.done(had + bytes);
        return new ModelFile(file.name(), bytes, journal.sha256(file.name()));
    }

    /** @return {@code null}, and the part is gone, when it does not sum up to what was promised */
    private String checked(RemoteFile file, Path part) throws IOException {
        Sums sums = Sums.of(part, held::goOn);
        Digest promised = file.digest();
        String given = promised == null ? null : promised.kind() == Digest.Kind.SHA256 ? sums.sha256() : sums.gitBlob();
        if (promised != null && !promised.hex().equals(given)) {
            Files.delete(part);
            return null;
        }
        return sums.sha256();
    }

    private void fetch(RemoteFile file, Path part, long had) throws IOException {
        int failures = 0;
        while (true) {
            long from = length(part);
            try {
                if (from > file.bytes() && file.bytes() >= 0) {
                    Files.delete(part);
                    from = 0;
                }
                if (from == 0 || from != file.bytes()) {
                    append(file, part, from, had);
                }
                return;
            } catch (RemoteException e) {
                boolean further = length(part) > from;
                if (!further && from > 0 && failures > 0) {
                    // why: it may be that the server has nothing that would go on from there
                    Files.delete(part);
                }
                restAfter(e, further ? 0 : failures);
                failures = further ? 0 : failures + 1;
            }
        }
    }

    private void append(RemoteFile file, Path part, long from, long had) throws IOException {
        try (RemoteFiles.Bytes bytes = remote.open(file, from, journal.tag(file.name()));
                FileChannel out = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            if (bytes.from() != from) {
                out.truncate(bytes.from());
            }
            journal.tag(file.name(), bytes.tag());
            long expected = file.bytes() >= 0 ? file.bytes() : bytes.total();
            if (file.bytes() >= 0 && bytes.total() >= 0 && bytes.total() != file.bytes()) {
                throw new FetchFailedException(
                        file.name() + ": its server says " + file.bytes() + " bytes first and then " + bytes.total());
            }
            long most = Math.min(expected < 0 ? Long.MAX_VALUE : expected, settings.maxBytes().toBytes() - had);
            long at = copy(file, bytes, out, most, had);
            if (at < expected) {
                throw RemoteException.brokenOff(bytes.who() + ": ended at byte " + at + " (expected: " + expected + ")");
            }
            out.force(true);
        }
    }

    private long copy(RemoteFile file, RemoteFiles.Bytes bytes, FileChannel out, long most, long had) throws IOException {
        byte[] buffer = new byte[BUFFER];
        long at = bytes.from();
        for (int n = bytes.read(buffer); n >= 0; n = bytes.read(buffer)) {
            held.goOn();
            if (at + n > most) {
                throw new FetchFailedException(
                        file.name() + ": more than " + most + " bytes came (expected: at most as many as its server said, "
                                + "and a model of at most " + settings.maxBytes().toBytes() + ", espalier.models.max-bytes)");
            }
            ByteBuffer some = ByteBuffer.wrap(buffer, 0, n);
            while (some.hasRemaining()) {
                at += out.write(some, at);
            }
            held.done(had + at);
        }
        return at;
    }

    private static long length(Path file) {
        try {
            return Files.size(file);
        } catch (IOException none) {
            return 0;
        }
    }
}

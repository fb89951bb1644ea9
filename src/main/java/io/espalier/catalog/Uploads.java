package io.espalier.catalog;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import io.espalier.catalog.ModelConflictException.Reason;
import io.espalier.recipe.Violation;
import org.springframework.stereotype.Component;

/**
 * Models that clients send, file by file, each in parts from its first byte to its last. How much of a file is there is what its length on the disk says: a
 * process that is killed forgets nothing that it wrote. What was sent counts when its sum is the one that was announced.
 */
@Component
public class Uploads {

    private static final int BUFFER = 1 << 18;

    private final Models models;
    private final ModelDirectories directories;
    private final Intake intake;

    Uploads(Models models, ModelDirectories directories, Intake intake) {
        this.models = models;
        this.directories = directories;
        this.intake = intake;
    }

    /**
     * A file of a model, and how much of it is there.
     *
     * @param sha256 {@code null} while it is not known
     */
    public record Received(String name, long bytes, long received, String sha256) {}

    /** A part of a file: bytes from the first to the last, which belongs to it. */
    public record Part(long first, long last, long total) {
        public long length() {
            return last - first + 1;
        }
    }

    /** @return empty when the model has no such file */
    public Optional<Received> find(Model model, String name) {
        return model.files().stream().filter(file -> file.name().equals(name)).findFirst()
                .map(file -> new Received(name, file.bytes(), model.ready() ? file.bytes() : received(model, name), file.sha256()));
    }

    private long received(Model model, String name) {
        return Math.max(length(directories.parts(model.id()).resolve(name)), length(directories.files(model.id()).resolve(name)));
    }

    /**
     * Adds a part to a file.
     *
     * @return how the file stands then
     * @throws ModelConflictException when the model takes no files, or the part does not begin where the file ends
     * @throws NoRoomException when the disk is full; what was written before stays
     * @throws IOException when the part breaks off; what came of it stays
     */
    public Received append(Model model, Received file, Part part, InputStream in) throws IOException {
        if (model.state() != ModelState.UPLOADING) {
            throw new ModelConflictException(Reason.STATE, model.state(), 0, model.name() + " is " + model.state().json()
                    + " (expected: uploading, to take files)");
        }
        if (part.length() > directories.room()) {
            throw noRoom(part.length());
        }
        try (FileChannel out = FileChannel.open(directories.parts(model.id()).resolve(file.name()), StandardOpenOption.CREATE,
                StandardOpenOption.WRITE); FileLock lock = lock(out)) {
            // why asked again under the lock: somebody else may have added a part meanwhile
            long there = received(model, file.name());
            if (lock == null || part.first() != there) {
                throw new ModelConflictException(Reason.OFFSET, model.state(), there, file.name() + ": a part from byte " + part.first()
                        + (lock == null ? ", while another one is being received" : "") + " (expected: one that begins at byte " + there
                        + ", which is how much is there)");
            }
            copy(in, out, part);
            return new Received(file.name(), file.bytes(), part.last() + 1, file.sha256());
        } catch (NoSuchFileException gone) {
            throw new ModelConflictException(Reason.STATE, model.state(), 0, model.name() + " was deleted meanwhile");
        } catch (IOException e) {
            if (Disk.full(e)) {
                throw noRoom(part.length());
            }
            throw e;
        }
    }

    private static FileLock lock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException held) {
            return null;
        }
    }

    private static void copy(InputStream in, FileChannel out, Part part) throws IOException {
        byte[] buffer = new byte[BUFFER];
        long at = part.first();
        while (at < part.last()) {
            at += write(buffer, read(in, buffer, part.last() - at, at, part), out, at);
        }
        // why the last byte apart: with it the file may be whole, and then somebody else's to check and publish, whatever this body goes on with
        read(in, buffer, 1, at, part);
        if (in.read() >= 0) {
            out.truncate(part.first());
            throw new BrokenPartException(
                    "the body goes on after its " + part.length() + " bytes (expected: as many as Content-Range says)");
        }
        write(buffer, 1, out, at);
    }

    private static int read(InputStream in, byte[] buffer, long most, long at, Part part) throws IOException {
        int n = in.read(buffer, 0, (int) Math.min(buffer.length, most));
        if (n < 0) {
            throw new BrokenPartException("the body ended after " + (at - part.first()) + " bytes (expected: " + part.length()
                    + "); go on at byte " + at);
        }
        return n;
    }

    private static int write(byte[] buffer, int length, FileChannel out, long at) throws IOException {
        ByteBuffer some = ByteBuffer.wrap(buffer, 0, length);
        while (some.hasRemaining()) {
            out.write(some, at + some.position());
        }
        return length;
    }

    /**
     * Says that all files were sent.
     *
     * @param found takes every file that is not whole; nothing is changed then
     * @throws ModelConflictException when the model takes no files
     */
    public void complete(Model model, List<Violation> found) {
        for (int i = 0; i < model.files().size() && model.state() == ModelState.UPLOADING; i++) {
            ModelFile file = model.files().get(i);
            long there = received(model, file.name());
            if (there != file.bytes()) {
                found.add(new Violation("files." + file.name(), there + " bytes", file.bytes() + " bytes; go on at byte " + there));
            }
        }
        if (found.isEmpty() && !models.move(model.id(), ModelState.UPLOADING, ModelState.VERIFYING)) {
            throw new ModelConflictException(Reason.STATE, model.state(), 0, model.name() + " is " + model.state().json()
                    + " (expected: uploading, to be completed)");
        }
        intake.wake();
    }

    /** Makes whole files of those whose sum is right. @return the names of the others, whose bytes are dropped */
    static List<String> verify(Model model, ModelDirectories directories, Held held) throws IOException {
        List<String> wrong = new ArrayList<>();
        long done = 0;
        for (ModelFile file : model.files()) {
            Path part = directories.parts(model.id()).resolve(file.name());
            Path whole = directories.files(model.id()).resolve(file.name());
            if (!Files.exists(whole)) {
                if (file.bytes() == 0 && !Files.exists(part)) {
                    Files.createFile(part);
                }
                // why a missing one is only wrong: who was killed in here may have dropped it, and not said so
                if (length(part) != file.bytes() || !Sums.of(part, held::goOn).sha256().equals(file.sha256())) {
                    wrong.add(file.name());
                    Files.deleteIfExists(part);
                    continue;
                }
                Disk.sync(part);
                Files.move(part, whole, StandardCopyOption.ATOMIC_MOVE);
            }
            done += file.bytes();
            held.done(done);
        }
        return wrong;
    }

    private static NoRoomException noRoom(long bytes) {
        return new NoRoomException("the disk has no room for " + bytes + " bytes more; make room, then go on at the byte that GET names");
    }

    private static long length(Path file) {
        try {
            return Files.size(file);
        } catch (IOException none) {
            return 0;
        }
    }

    /** A part that is shorter or longer than it says. */
    public static final class BrokenPartException extends IOException {
        BrokenPartException(String words) {
            super(words);
        }
    }
}

package io.espalier.plan;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;

/** {@code SHA256SUMS} of a directory, in the form that {@code sha256sum -c} reads. */
public final class Checksums {

    public static final String FILE = "SHA256SUMS";

    private Checksums() {}

    /**
     * Writes {@code SHA256SUMS} over all other regular files of the directory, by name.
     *
     * @return SHA-256, hexadecimal, of the file written: the digest of the whole directory
     * @throws io.espalier.recipe.PruningException {@code DISK_FULL} or {@code IO_ERROR}
     */
    public static String write(Path directory) {
        try (Stream<Path> all = Files.list(directory)) {
            List<String> names = all.filter(Files::isRegularFile).map(file -> file.getFileName().toString())
                    .filter(name -> !name.equals(FILE))
                    .sorted().toList();
            StringBuilder sums = new StringBuilder();
            for (String name : names) {
                sums.append(line(name, digest(directory.resolve(name))));
            }
            byte[] content = sums.toString().getBytes(StandardCharsets.UTF_8);
            Files.write(directory.resolve(FILE), content);
            return HexFormat.of().formatHex(sha256().digest(content));
        } catch (IOException cause) {
            throw DiskSpace.failure(directory, 0, cause);
        }
    }

    private static String line(String name, String digest) {
        // why: sha256sum marks a name that holds a line end or a backslash with a backslash before the line
        String escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r");
        return (escaped.equals(name) ? "" : "\\") + digest + "  " + escaped + "\n";
    }

    private static String digest(Path file) throws IOException {
        MessageDigest sha256 = sha256();
        byte[] buffer = new byte[1 << 20];
        try (InputStream in = Files.newInputStream(file)) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                sha256.update(buffer, 0, n);
            }
        }
        return HexFormat.of().formatHex(sha256.digest());
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException everyJdkHasIt) {
            throw new IllegalStateException(everyJdkHasIt);
        }
    }
}

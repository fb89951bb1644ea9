package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChecksumsTest {

    @TempDir
    private Path directory;

    @Test
    void everyFileIsSummedByNameInTheFormOfSha256sum() throws IOException {
        Files.writeString(directory.resolve("b.txt"), "abc");
        Files.writeString(directory.resolve("a.txt"), "");
        Files.writeString(directory.resolve("c\\d"), "abc");
        Files.createDirectory(directory.resolve("folder"));
        String digest = Checksums.write(directory);
        assertThat(directory.resolve("SHA256SUMS"))
                .hasContent("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.txt\n"
                        + "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b.txt\n"
                        + "\\ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  c\\\\d\n");
        assertThat(digest).isEqualTo("8f7236a0bb9551f5478ac1635a064127fc68c88803122c0caff6fccdc8d5429d")
                .isEqualTo(Checksums.write(directory));
        Files.writeString(directory.resolve("b.txt"), "abd");
        assertThat(Checksums.write(directory)).isNotEqualTo(digest);
    }
}

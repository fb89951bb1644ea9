package io.espalier.checkpoint;

import static io.espalier.checkpoint.HandMade.entry;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsFileTest {

    @TempDir
    private Path directory;

    private SafetensorsFile open(String header, byte... data) throws IOException {
        Path file = HandMade.file(directory.resolve("m.safetensors"), header, data.length);
        try (RandomAccessFile tail = new RandomAccessFile(file.toFile(), "rw")) {
            tail.seek(tail.length() - data.length);
            tail.write(data);
        }
        return SafetensorsFile.open(file);
    }

    @Test
    void floatingValuesAreWidenedExactly() throws IOException {
        // 1.5 in each dtype, little-endian
        try (SafetensorsFile file = open(
                "{" + String.join(",", entry("f64", "F64", "[1]", "[0,8]"), entry("f32", "F32", "[1]", "[8,12]"),
                        entry("bf16", "BF16", "[1]", "[12,14]"), entry("f16", "F16", "[]", "[14,16]"), entry("u8", "U8", "[1]", "[16,17]"))
                        + "}",
                (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 0xf8, (byte) 0x3f, (byte) 0, (byte) 0, (byte) 0xc0,
                (byte) 0x3f,
                (byte) 0xc0, (byte) 0x3f, (byte) 0, (byte) 0x3e, (byte) 9)) {
            for (String name : List.of("f64", "f32", "bf16", "f16")) {
                assertThat(file.doubles(name)).as(name).containsExactly(1.5);
            }
            assertThat(file.floats("f16")).containsExactly(1.5f);
            assertThat(file.tensor("f16").rank()).isZero();
            assertThatIllegalArgumentException().isThrownBy(() -> file.floats("f64"))
                    .withMessage("m.safetensors: tensor 'f64': dtype F64 (expected: F32, BF16 or F16)");
            assertThatIllegalArgumentException().isThrownBy(() -> file.longs("f32"))
                    .withMessage("m.safetensors: tensor 'f32': dtype F32 (expected: an integer dtype)");
        }
    }

    @Test
    void integersOfEveryWidthAreRead() throws IOException {
        byte[] ones = new byte[31];
        java.util.Arrays.fill(ones, (byte) 0xff);
        try (SafetensorsFile file = open("{" + String.join(",", entry("I64", "I64", "[1]", "[0,8]"), entry("I32", "I32", "[1]", "[8,12]"),
                entry("U32", "U32", "[1]", "[12,16]"), entry("I16", "I16", "[2]", "[16,20]"), entry("U16", "U16", "[1]", "[20,22]"),
                entry("I8", "I8", "[1]", "[22,23]"), entry("U8", "U8", "[1,1]", "[23,24]"), entry("BOOL", "BOOL", "[7]", "[24,31]")) + "}",
                ones)) {
            assertThat(file.longs("I64")).containsExactly(-1);
            assertThat(file.longs("I32")).containsExactly(-1);
            assertThat(file.longs("U32")).containsExactly(0xffffffffL);
            assertThat(file.longs("I16")).containsExactly(-1, -1);
            assertThat(file.longs("U16")).containsExactly(0xffff);
            assertThat(file.longs("I8")).containsExactly(-1);
            assertThat(file.longs("U8")).containsExactly(255);
            assertThat(file.tensors().keySet()).containsExactly("I64", "I32", "U32", "I16", "U16", "I8", "U8", "BOOL");
        }
    }

    @Test
    void tensorsComeInTheOrderOfTheirBytesAndMayBeEmpty() throws IOException {
        try (SafetensorsFile file = open("{" + String.join(",", entry("b", "U8", "[2]", "[1,3]"), "\"__metadata__\":{\"k\":\"v\"}",
                entry("empty", "F32", "[0,4]", "[1,1]"), entry("a", "U8", "[1]", "[0,1]")) + "}  ", (byte) 7, (byte) 8, (byte) 9)) {
            assertThat(file.tensors().keySet()).containsExactly("a", "empty", "b");
            assertThat(file.longs("b")).containsExactly(8, 9);
            assertThat(file.floats("empty")).isEmpty();
            assertThat(file.metadata()).containsExactly(java.util.Map.entry("k", "v"));
        }
    }

    @Test
    void aTensorBehindFourGibibytesIsReached() throws IOException {
        long far = 5L << 30;
        String header = "{" + entry("far", "U8", "[" + far + "]", "[0," + far + "]") + ","
                + entry("end", "U8", "[2]", "[" + far + "," + (far + 2) + "]") + "}";
        Path path = HandMade.file(directory.resolve("m.safetensors"), header, 0);
        try (RandomAccessFile sparse = new RandomAccessFile(path.toFile(), "rw")) {
            sparse.seek(8 + header.getBytes(StandardCharsets.UTF_8).length + far);
            sparse.write(new byte[]{3, 4});
        }
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThat(file.longs("end")).containsExactly(3, 4);
            assertThat(file.bytes("far").byteSize()).isEqualTo(far);
            assertThat(file.bytes("far").get(ValueLayout.JAVA_BYTE, far - 1)).isZero();
        }
    }

    @Test
    void noHandleStaysOpenAndNoMappingAfterClose() throws IOException {
        SafetensorsFile file = open("{" + entry("a", "U8", "[1]", "[0,1]") + "}", (byte) 1);
        assertThat(handles()).noneMatch(target -> target.endsWith("m.safetensors"));
        assertThat(Files.readString(Path.of("/proc/self/maps"))).contains("m.safetensors");
        file.close();
        assertThat(Files.readString(Path.of("/proc/self/maps"))).doesNotContain("m.safetensors");
        assertThatThrownBy(() -> file.longs("a")).isInstanceOf(IllegalStateException.class);
    }

    private static List<String> handles() throws IOException {
        try (Stream<Path> handles = Files.list(Path.of("/proc/self/fd"))) {
            return handles.map(handle -> {
                try {
                    return Files.readSymbolicLink(handle).toString();
                } catch (IOException closedMeanwhile) {
                    return "";
                }
            }).toList();
        }
    }

    @Test
    void aMissingFileIsAnIoError() {
        assertThatThrownBy(() -> SafetensorsFile.open(directory.resolve("no.safetensors"))).isInstanceOf(UncheckedIOException.class)
                .hasMessageContaining("no.safetensors");
    }
}

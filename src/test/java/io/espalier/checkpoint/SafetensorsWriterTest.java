package io.espalier.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;

import io.espalier.checkpoint.SafetensorsWriter.Declared;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {

    @TempDir
    private Path directory;

    private SafetensorsWriter writer(Declared... declared) {
        return SafetensorsWriter.create(directory.resolve("w.safetensors"), List.of(declared), Map.of());
    }

    private static Declared tensor(String name, DType dtype, Long... shape) {
        return new Declared(name, dtype, List.of(shape));
    }

    @Test
    void whatIsWrittenIsReadBack() {
        double[] doubles = new Random(1).doubles(20_000).toArray();
        long[] longs = {Long.MIN_VALUE, -1, 0, Long.MAX_VALUE};
        List<Declared> declared = List.of(tensor("d", DType.F64, 2L, 10_000L), tensor("none", DType.F64, 0L, 3L),
                tensor("l", DType.I64, 4L),
                tensor("f", DType.F32), tensor("i", DType.I32, 2L));
        Path path = directory.resolve("w.safetensors");
        try (var writer = SafetensorsWriter.create(path, declared, Map.of("format", "pt"))) {
            writer.begin("d").doubles(Arrays.copyOf(doubles, 5)).doubles(Arrays.copyOfRange(doubles, 5, 20_000));
            writer.begin("none").doubles();
            writer.begin("l").longs(longs);
            writer.begin("f").floats(1.25f);
            writer.begin("i").ints(-3, 7);
            writer.finish();
        }
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThat(file.doubles("d")).isEqualTo(doubles);
            assertThat(file.tensor("d").shape()).containsExactly(2L, 10_000L);
            assertThat(file.doubles("none")).isEmpty();
            assertThat(file.longs("l")).isEqualTo(longs);
            assertThat(file.floats("f")).containsExactly(1.25f);
            assertThat(file.longs("i")).containsExactly(-3, 7);
            assertThat(file.metadata()).containsExactly(Map.entry("format", "pt"));
        }
        assertThat(path.toFile().length()).isEqualTo(SafetensorsWriter.fileLength(declared, Map.of("format", "pt")));
    }

    @Test
    void theHeaderIsThatOfTheReferenceImplementation() throws IOException {
        try (var writer = writer(tensor("a", DType.BF16, 1L, 2L))) {
            writer.begin("a").write(MemorySegment.ofArray(new byte[]{1, 2, 3, 4})).finish();
        }
        byte[] bytes = Files.readAllBytes(directory.resolve("w.safetensors"));
        // the header of the Rust library: no spaces inside, padded behind to a multiple of 8
        String header = "{\"a\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[0,4]}}";
        assertThat(bytes[0]).isEqualTo((byte) 64);
        assertThat(new String(bytes, 8, 64, StandardCharsets.UTF_8)).isEqualTo(header + " ".repeat(64 - header.length()));
        assertThat(Arrays.copyOfRange(bytes, 72, bytes.length)).containsExactly(1, 2, 3, 4);
    }

    @Test
    void aModelWrittenAgainIsTheSameFile() throws IOException {
        Path model = Path.of("src/main/resources/demo/tiny-qwen2moe/model.safetensors");
        Path copy = directory.resolve("copy.safetensors");
        try (SafetensorsFile source = SafetensorsFile.open(model); FileChannel channel = FileChannel.open(model)) {
            List<Declared> declared = source.tensors().values().stream().map(t -> new Declared(t.name(), t.dtype(), t.shape())).toList();
            try (var writer = SafetensorsWriter.create(copy, declared, source.metadata())) {
                source.tensors().values().forEach(t -> {
                    writer.begin(t.name());
                    if (t.rank() == 1) {
                        writer.write(source.bytes(t.name()));
                    } else {
                        writer.transfer(channel, t.offset(), t.length());
                    }
                });
                writer.finish();
            }
        }
        assertThat(Files.mismatch(model, copy)).isEqualTo(-1);
    }

    @Test
    void tooManyBytesAreRefused() {
        try (var writer = writer(tensor("a", DType.F64, 2L))) {
            writer.begin("a");
            assertThatIllegalStateException().isThrownBy(() -> writer.doubles(1, 2, 3))
                    .withMessage("w.safetensors: 24 bytes more (expected: at most 16, tensor 'a' is then complete)");
        }
    }

    @Test
    void tooFewBytesAreRefused() {
        try (var writer = writer(tensor("a", DType.F64, 2L), tensor("b", DType.F64, 2L))) {
            writer.begin("a").doubles(1);
            assertThatIllegalStateException().isThrownBy(() -> writer.begin("b"))
                    .withMessage("w.safetensors: tensor 'a' lacks 8 bytes (expected: 16 in all)");
            assertThatIllegalStateException().isThrownBy(writer::finish).withMessageContaining("tensor 'a' lacks 8 bytes");
        }
    }

    @Test
    void tensorsOutOfOrderAreRefused() {
        try (var writer = writer(tensor("a", DType.F64, 0L), tensor("b", DType.F64, 0L))) {
            assertThatIllegalStateException().isThrownBy(() -> writer.doubles())
                    .withMessage("w.safetensors: F64 values (expected: a tensor begun first)");
            writer.begin("a");
            assertThatIllegalStateException().isThrownBy(writer::finish)
                    .withMessage("w.safetensors: finished after 1 tensors (expected: 2)");
            assertThatIllegalStateException().isThrownBy(() -> writer.begin("c"))
                    .withMessage("w.safetensors: tensor 'c' begun (expected: 'b', the next declared)");
        }
    }

    @Test
    void valuesOfAnotherDtypeAreRefused() {
        try (var writer = writer(tensor("a", DType.F64, 1L))) {
            writer.begin("a");
            assertThatIllegalStateException().isThrownBy(() -> writer.longs(1))
                    .withMessage("w.safetensors: I64 values (expected: F64 for 'a')");
        }
    }

    @Test
    void aSourceThatEndsEarlyIsAnIoError() throws IOException {
        Path brief = Files.write(directory.resolve("brief"), new byte[3]);
        try (var writer = writer(tensor("a", DType.U8, 4L)); FileChannel channel = FileChannel.open(brief)) {
            writer.begin("a");
            assertThatThrownBy(() -> writer.transfer(channel, 0, 4)).isInstanceOf(UncheckedIOException.class)
                    .hasMessageContaining("source ends at byte 3 (expected: 4)");
        }
    }

    @Test
    void aNameDeclaredTwiceIsRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> writer(tensor("a", DType.U8, 1L), tensor("a", DType.U8, 1L)))
                .withMessage("tensor 'a': declared twice (expected: once)");
    }

    @Test
    void anUnfinishedFileDoesNotOpen() {
        try (var writer = writer(tensor("a", DType.U8, 4L))) {
            writer.begin("a").write(MemorySegment.ofArray(new byte[2]));
        }
        assertThatThrownBy(() -> SafetensorsFile.open(directory.resolve("w.safetensors"))).isInstanceOf(MalformedCheckpointException.class);
    }

    @Test
    void everyByteOfASealedFileIsChecked() throws IOException {
        Path path = directory.resolve("w.safetensors");
        try (var writer = writer(tensor("d", DType.F64, 3L), tensor("raw", DType.U8, 200_000L), SafetensorsWriter.SEAL)) {
            writer.begin("d").doubles(1, 2, 3);
            writer.begin("raw").write(MemorySegment.ofArray(new byte[200_000]));
            assertThatIllegalStateException().isThrownBy(() -> {
                try (FileChannel source = FileChannel.open(path)) {
                    writer.transfer(source, 0, 0);
                }
            }).withMessageContaining("none in a sealed file");
            writer.finish();
        }
        byte[] sound = Files.readAllBytes(path);
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThat(file.isSealed()).isTrue();
        }
        for (int at : new int[]{sound.length - 200_050, sound.length - 100_000, sound.length - 33, sound.length - 1}) {
            byte[] flipped = sound.clone();
            flipped[at] ^= 4;
            Files.write(path, flipped);
            try (SafetensorsFile file = SafetensorsFile.open(path)) {
                assertThat(file.isSealed()).as("byte %s flipped", at).isFalse();
            }
        }
        Files.delete(path);
        try (var writer = writer(tensor("d", DType.F64, 3L))) {
            writer.begin("d").doubles(1, 2, 3);
            writer.finish();
        }
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThat(file.isSealed()).as("without a seal").isFalse();
        }
    }
}

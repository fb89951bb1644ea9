package io.espalier.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointTest {

    private static final Path QWEN = Path.of("src/main/resources/demo/tiny-qwen2moe");
    private static final Path DEEPSEEK = Path.of("src/test/resources/fixtures/tiny-deepseek-moe-v1");

    @TempDir
    private Path directory;

    @Test
    void aSingleFileOpensWithItsConfigAndTensors() {
        try (Checkpoint checkpoint = Checkpoint.open(QWEN)) {
            assertThat(checkpoint.config().get("model_type").stringValue()).isEqualTo("qwen2_moe");
            assertThat(checkpoint.parameters()).isEqualTo(3_452_032);
            assertThat(checkpoint.tensorBytes()).isEqualTo(2 * 3_452_032);
            Tensor down = checkpoint.tensor("model.layers.3.mlp.experts.15.down_proj.weight");
            assertThat(down.shape()).containsExactly(128L, 96L);
            assertThat(down.dtype()).isEqualTo(DType.BF16);
            assertThat(checkpoint.bytes(down).byteSize()).isEqualTo(128 * 96 * 2);
            assertThat(checkpoint.shards()).extracting(SafetensorsFile::metadata).containsExactly(
                    new java.util.TreeMap<>(java.util.Map.of("format", "pt")));
        }
    }

    @Test
    void shardsOpenThroughTheirIndexInNameOrder() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(DEEPSEEK)) {
            assertThat(checkpoint.parameters()).isEqualTo(2_137_216);
            assertThat(checkpoint.shards()).extracting(shard -> shard.path().getFileName().toString()).containsExactly(
                    "model-00001-of-00005.safetensors", "model-00002-of-00005.safetensors", "model-00003-of-00005.safetensors",
                    "model-00004-of-00005.safetensors", "model-00005-of-00005.safetensors");
            List<String> perShard = new ArrayList<>();
            checkpoint.shards().forEach(shard -> perShard.addAll(shard.tensors().keySet()));
            assertThat(checkpoint.tensors().keySet()).containsExactlyElementsOf(perShard).isNotEmpty();
            Tensor tensor = checkpoint.tensors().lastEntry().getValue();
            byte[] file = Files.readAllBytes(tensor.shard());
            byte[] expected = java.util.Arrays.copyOfRange(file, (int) tensor.offset(), (int) (tensor.offset() + tensor.length()));
            assertThat(checkpoint.bytes(tensor).toArray(ValueLayout.JAVA_BYTE)).isEqualTo(expected);
        }
    }

    @Test
    void bytesAreReadOnlyAndEndWithTheCheckpoint() {
        Checkpoint checkpoint = Checkpoint.open(QWEN);
        var bytes = checkpoint.bytes(checkpoint.tensor("lm_head.weight"));
        assertThat(bytes.isReadOnly()).isTrue();
        checkpoint.close();
        checkpoint.close();
        assertThatThrownBy(() -> bytes.get(ValueLayout.JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void theDigestDependsOnContentOnly() throws IOException {
        Path one = copy(DEEPSEEK, directory.resolve("one"));
        Path two = copy(DEEPSEEK, directory.resolve("two"));
        Files.setLastModifiedTime(two.resolve("config.json"), FileTime.fromMillis(0));
        Files.writeString(two.resolve("notes.txt"), "not part of the model");
        assertThat(digest(two)).isEqualTo(digest(one)).matches("[0-9a-f]{64}");
        byte[] shard = Files.readAllBytes(two.resolve("model-00003-of-00005.safetensors"));
        shard[shard.length - 1] ^= 1;
        Files.write(two.resolve("model-00003-of-00005.safetensors"), shard);
        assertThat(digest(two)).isNotEqualTo(digest(one));
    }

    @Test
    void aFileThatChangedBehindTheCheckpointIsNoticed() throws IOException {
        Path copy = copy(DEEPSEEK, directory.resolve("copy"));
        try (Checkpoint checkpoint = Checkpoint.open(copy)) {
            checkpoint.verifyUnchanged();
            Files.setLastModifiedTime(copy.resolve("model-00002-of-00005.safetensors"), FileTime.fromMillis(0));
            assertThatThrownBy(checkpoint::verifyUnchanged).isInstanceOf(MalformedCheckpointException.class)
                    .hasMessageContaining("model-00002-of-00005.safetensors: file changed while in use");
        }
    }

    private static String digest(Path directory) {
        try (Checkpoint checkpoint = Checkpoint.open(directory)) {
            return checkpoint.digest();
        }
    }

    private static Path copy(Path from, Path to) throws IOException {
        Files.createDirectory(to);
        try (var files = Files.list(from)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.copy(file, to.resolve(file.getFileName()));
            }
        }
        return to;
    }
}

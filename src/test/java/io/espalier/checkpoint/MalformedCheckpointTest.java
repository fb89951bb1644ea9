package io.espalier.checkpoint;

import static io.espalier.checkpoint.HandMade.entry;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;

import io.espalier.checkpoint.MalformedCheckpointException.Fault;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One test for each lie that the files of a checkpoint can tell about each other. */
class MalformedCheckpointTest {

    @TempDir
    private Path outside;

    private Path model;

    @BeforeEach
    void aDirectoryWithAConfig() throws IOException {
        model = Files.createDirectory(outside.resolve("model"));
        Files.writeString(model.resolve("config.json"), "{\"model_type\": \"x\"}");
    }

    private void refused(Fault fault, String message) {
        assertThatThrownBy(() -> Checkpoint.open(model)).hasMessage(message).isInstanceOfSatisfying(MalformedCheckpointException.class,
                thrown -> assertThat(thrown.fault()).isEqualTo(fault));
    }

    private void shard(String file, String tensor) {
        HandMade.file(model.resolve(file), "{" + entry(tensor, "U8", "[4]", "[0,4]") + "}", 4);
    }

    private void index(String content) throws IOException {
        Files.writeString(model.resolve("model.safetensors.index.json"), content);
    }

    @Test
    void aDirectoryThatIsNotThereIsRefused() {
        model = model.resolve("no");
        refused(Fault.NOT_A_DIRECTORY, "no: type: not a directory (expected: a directory that holds a checkpoint)");
    }

    @Test
    void aMissingConfigIsRefused() throws IOException {
        Files.delete(model.resolve("config.json"));
        refused(Fault.CONFIG_MISSING, "model: config.json: missing (expected: a file)");
    }

    @Test
    void aConfigThatIsNotAnObjectIsRefused() throws IOException {
        Files.writeString(model.resolve("config.json"), "[]");
        refused(Fault.CONFIG_NOT_AN_OBJECT, "config.json: content: ARRAY (expected: a JSON object)");
        for (String broken : new String[]{"", "{\"a\":", "{} x"}) {
            Files.writeString(model.resolve("config.json"), broken);
            assertThatThrownBy(() -> Checkpoint.open(model)).as(broken).hasMessageEndingWith("(expected: a JSON object)");
        }
    }

    @Test
    void aConfigLongerThanAnyIsRefusedUnread() throws IOException {
        try (RandomAccessFile sparse = new RandomAccessFile(model.resolve("config.json").toFile(), "rw")) {
            sparse.setLength(JsonFile.MAX_CONFIG_BYTES + 1);
        }
        refused(Fault.JSON_TOO_LONG, "config.json: bytes: 16777217 (expected: at most 16777216)");
    }

    @Test
    void aDirectoryWithoutWeightsIsRefused() {
        refused(Fault.NO_WEIGHTS, "model: weights: none (expected: model.safetensors or model.safetensors.index.json)");
    }

    @Test
    void weightsOfAnotherFormatAreNamed() throws IOException {
        Files.writeString(model.resolve("pytorch_model.bin"), "x");
        refused(Fault.WEIGHTS_NOT_SAFETENSORS,
                "model: weights: [pytorch_model.bin] (expected: model.safetensors or model.safetensors.index.json)");
    }

    @Test
    void anIndexThatIsNotAnObjectIsRefused() throws IOException {
        index("7");
        refused(Fault.INDEX_NOT_AN_OBJECT, "model.safetensors.index.json: content: NUMBER (expected: a JSON object)");
    }

    @Test
    void anIndexWithoutAMapIsRefused() throws IOException {
        index("{\"metadata\": {}}");
        refused(Fault.INDEX_WITHOUT_WEIGHT_MAP,
                "model.safetensors.index.json: weight_map: missing (expected: an object from tensor names to file names)");
        index("{\"weight_map\": []}");
        refused(Fault.INDEX_WITHOUT_WEIGHT_MAP,
                "model.safetensors.index.json: weight_map: [] (expected: an object from tensor names to file names)");
    }

    @Test
    void aShardThatIsNotAPlainFileNameIsRefused() throws IOException {
        for (String name : new String[]{"\"../m.safetensors\"", "\"a/b.safetensors\"", "\"/m.safetensors\"", "\"..\"", "\"m.bin\"", "3",
                "\"a\\\\b.safetensors\"", "\"a\\u0000.safetensors\""}) {
            index("{\"weight_map\": {\"a\": " + name + "}}");
            assertThatThrownBy(() -> Checkpoint.open(model)).as(name)
                    .hasMessageStartingWith("model.safetensors.index.json: shard of tensor 'a': ")
                    .hasMessageEndingWith("(expected: a plain file name that ends in .safetensors)")
                    .isInstanceOfSatisfying(MalformedCheckpointException.class,
                            thrown -> assertThat(thrown.fault()).isEqualTo(Fault.SHARD_NAME));
        }
    }

    @Test
    void aMissingShardIsRefused() throws IOException {
        index("{\"weight_map\": {\"a\": \"1.safetensors\"}}");
        refused(Fault.MISSING_SHARD, "model.safetensors.index.json: shard: 1.safetensors (expected: a file beside the index)");
    }

    @Test
    void aTensorInTwoShardsIsRefused() throws IOException {
        shard("1.safetensors", "a");
        shard("2.safetensors", "a");
        index("{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"2.safetensors\"}}");
        refused(Fault.TENSOR_IN_TWO_SHARDS, "2.safetensors: tensor 'a': also in 1.safetensors (expected: in one shard)");
    }

    @Test
    void aTensorThatItsShardLacksIsRefused() throws IOException {
        shard("1.safetensors", "a");
        shard("2.safetensors", "b");
        index("{\"weight_map\": {\"a\": \"1.safetensors\", \"b\": \"2.safetensors\", \"c\": \"2.safetensors\"}}");
        refused(Fault.TENSOR_NOT_IN_SHARD, "model.safetensors.index.json: tensor 'c': in no shard (expected: in 2.safetensors)");
        index("{\"weight_map\": {\"a\": \"2.safetensors\", \"b\": \"1.safetensors\"}}");
        refused(Fault.TENSOR_NOT_IN_SHARD, "model.safetensors.index.json: tensor 'a': in 1.safetensors (expected: in 2.safetensors)");
    }

    @Test
    void aTensorThatTheIndexDoesNotNameIsRefused() throws IOException {
        HandMade.file(model.resolve("1.safetensors"), "{" + entry("a", "U8", "[2]", "[0,2]") + "," + entry("b", "U8", "[2]", "[2,4]") + "}",
                4);
        index("{\"weight_map\": {\"a\": \"1.safetensors\"}}");
        refused(Fault.TENSOR_NOT_IN_INDEX, "1.safetensors: tensor 'b': not in the index (expected: every tensor of a shard named in"
                + " model.safetensors.index.json)");
    }

    @Test
    void theIndexWinsOverASingleFile() throws IOException {
        shard("model.safetensors", "old");
        shard("1.safetensors", "a");
        index("{\"weight_map\": {\"a\": \"1.safetensors\"}}");
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            assertThat(checkpoint.tensors()).containsOnlyKeys("a");
        }
    }

    @Test
    void aTensorThatIsNotThereIsNamed() {
        shard("model.safetensors", "a");
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            assertThatThrownBy(() -> checkpoint.tensor("model.norm.weight"))
                    .hasMessage("model: tensor 'model.norm.weight': missing (expected: one of the checkpoint's 1)")
                    .isInstanceOfSatisfying(MalformedCheckpointException.class,
                            thrown -> assertThat(thrown.fault()).isEqualTo(Fault.MISSING_TENSOR));
        }
    }

    @Test
    void aFileThatLeadsOutsideIsRefusedWhereTheCallerSaysSo() throws IOException {
        shard("model.safetensors", "a");
        Path root = model.toRealPath();
        Checkpoint.open(model, path -> path.startsWith(root)).close();
        for (String name : new String[]{"model.safetensors", "config.json", "tokenizer.json"}) {
            Path away = outside.resolve("away-" + name);
            Path here = model.resolve(name);
            if (Files.exists(here)) {
                Files.move(here, away);
            } else {
                Files.writeString(away, "secret");
            }
            Files.createSymbolicLink(here, away);
            Checkpoint.open(model).close();
            assertThatThrownBy(() -> Checkpoint.open(model, path -> path.startsWith(root)))
                    .hasMessage(name + ": leads to: " + away.toRealPath() + " (expected: a path under an allowed root)")
                    .isInstanceOfSatisfying(MalformedCheckpointException.class,
                            thrown -> assertThat(thrown.fault()).isEqualTo(Fault.PATH_NOT_ALLOWED));
            Files.delete(here);
            Files.move(away, here);
        }
    }

    @Test
    void aShardThatIsGoneIsAChange() throws IOException {
        shard("model.safetensors", "a");
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            Files.delete(model.resolve("model.safetensors"));
            assertThatThrownBy(checkpoint::verifyUnchanged).hasMessageStartingWith("model.safetensors: file changed while in use: gone")
                    .isInstanceOfSatisfying(MalformedCheckpointException.class,
                            thrown -> assertThat(thrown.fault()).isEqualTo(Fault.CHANGED));
        }
    }
}

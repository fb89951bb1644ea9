package io.espalier.catalog;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.UUID;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.util.unit.DataSize;

/** What was sent, as whoever checks it finds it on the disk. */
class UploadsTest {

    private static final String SUM_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    @TempDir
    private Path temp;

    private ModelDirectories directories() {
        return new ModelDirectories(new CatalogSettings(temp, List.of()),
                new ModelSettings(DataSize.ofGigabytes(1), DataSize.ofGigabytes(1), DataSize.ofBytes(0), List.of(), List.of(), 1, 0,
                        Duration.ofMillis(1), Duration.ofSeconds(1)));
    }

    /** Whoever checked it before may have been killed between dropping the file and saying so. */
    @Test
    void aFileThatIsNotThereIsAskedForAgain() throws IOException {
        UUID id = UUID.randomUUID();
        ModelDirectories directories = directories();
        directories.prepare(id);
        Files.writeString(directories.parts(id).resolve("config.json"), "");
        Model model = new Model(id, "default", "mine", directories.of(id).toString(), Kind.REGISTERED, "", null, ModelState.VERIFYING,
                ModelSource.ofUpload(), null, 3L, 0, null, null,
                List.of(new ModelFile("config.json", 0, SUM_OF_NOTHING), new ModelFile("model.safetensors", 3, SUM_OF_NOTHING)));

        assertThat(Uploads.verify(model, directories, new Held(id, UUID.randomUUID()))).containsExactly("model.safetensors");
        assertThat(directories.files(id).resolve("config.json")).exists();
    }
}

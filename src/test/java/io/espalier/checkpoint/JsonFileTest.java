package io.espalier.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JsonFileTest {

    @TempDir
    private Path directory;

    @Test
    void anObjectIsWrittenAsHuggingFaceWritesIt() throws IOException {
        String text = """
                {
                  "z": 1,
                  "a": [
                    1,
                    "\u00e9"
                  ],
                  "none": [],
                  "nested": {
                    "theta": 10000.0,
                    "limit": Infinity
                  },
                  "empty": {},
                  "nothing": null
                }
                """;
        Path given = Files.writeString(directory.resolve("given.json"), text);
        JsonFile.write(directory.resolve("written.json"), JsonFile.read(given));
        assertThat(Files.readString(directory.resolve("written.json"))).isEqualTo(text);
    }
}

package io.espalier.transformer;

import java.nio.file.Path;

/** Where a trained fixture model and what independent code computed for it lie. */
public enum Fixture {
    QWEN2_MOE("src/main/resources/demo/tiny-qwen2moe", "tiny-qwen2moe"), DEEPSEEK_MOE("src/test/resources/fixtures/tiny-deepseek-moe-v1",
            "tiny-deepseek-moe-v1"), LLAMA("src/test/resources/fixtures/tiny-llama", "tiny-llama");

    private final String model;
    private final String name;

    Fixture(String model, String name) {
        this.model = model;
        this.name = name;
    }

    public Path model() {
        return Path.of(model);
    }

    public Path reference(String file) {
        return Path.of("src/test/resources/fixtures", name, "reference", file);
    }
}

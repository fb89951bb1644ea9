package io.espalier.artifact;

import java.nio.file.Path;

import jakarta.validation.constraints.NotNull;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Where finished files are kept.
 *
 * @param dataDir directory of everything the service keeps; artifacts lie under {@code artifacts} in it, on the same file system as the work
 *     directories, so that publishing is one atomic move
 */
@Validated
@ConfigurationProperties("espalier")
record ArtifactSettings(@NotNull Path dataDir) {

    Path directory() {
        return dataDir.toAbsolutePath().normalize().resolve("artifacts");
    }
}

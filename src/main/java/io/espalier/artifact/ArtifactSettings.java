package io.espalier.artifact;

import java.nio.file.Path;

import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Where finished files are kept.
 *
 * @param dataDir directory of everything the service keeps; artifacts lie under {@code artifacts} in it, on the same file system as the work
 *     directories, so that publishing is one atomic move
 * @param artifacts the rest
 */
@Validated
@ConfigurationProperties("espalier")
record ArtifactSettings(@NotNull Path dataDir, @NotNull @Valid Kept artifacts) {

    /** Where new artifacts go; those that are there stay where they are. */
    enum Store {
        FILES, S3
    }

    /**
     * @param store where new artifacts go
     * @param signingKey file of the private key that they are signed with; empty: they are not
     */
    record Kept(@NotNull Store store, @NotNull @SigningKey.Readable String signingKey) {}

    Path directory() {
        return dataDir.toAbsolutePath().normalize().resolve("artifacts");
    }

    /** {@code null} when artifacts are not signed. */
    SigningKey key() {
        return artifacts.signingKey.isBlank() ? null : SigningKey.read(Path.of(artifacts.signingKey));
    }
}

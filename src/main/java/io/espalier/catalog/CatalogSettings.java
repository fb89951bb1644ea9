package io.espalier.catalog;

import java.nio.file.Path;
import java.util.List;

import jakarta.validation.constraints.NotNull;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Where models and texts may lie.
 *
 * @param dataDir directory of everything the service keeps; the bundled demo is laid out under {@code demo} in it
 * @param roots absolute directories under which jobs may name models and texts; {@code models} and {@code texts} of the data directory by default
 */
@Validated
@ConfigurationProperties("espalier")
record CatalogSettings(@NotNull Path dataDir, @NotNull List<Path> roots) {

    CatalogSettings {
        roots = roots == null ? List.of() : List.copyOf(roots);
    }

    Path demo() {
        return dataDir.toAbsolutePath().normalize().resolve("demo");
    }
}

package io.espalier.remote;

import java.nio.file.Path;

import jakarta.validation.constraints.NotNull;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/** Where secrets lie. */
@Validated
@ConfigurationProperties("espalier")
record RemoteSettings(@NotNull Secret secrets) {

    /** @param directory one file a secret, its name the secret's; need not exist */
    record Secret(@NotNull Path directory) {}
}

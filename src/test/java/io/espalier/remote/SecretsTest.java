package io.espalier.remote;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;

/** Secrets are found by name, and nothing else is. */
class SecretsTest {

    @TempDir
    private Path directory;

    private Secrets secrets() {
        StandardEnvironment environment = new StandardEnvironment();
        environment.getPropertySources()
                .addFirst(new MapPropertySource("test", Map.of("espalier.secrets.values.by-setting", " of a setting ",
                        "spring.datasource.password", "not for clients")));
        return new Secrets(new RemoteSettings(new RemoteSettings.Secret(directory.resolve("secrets"))), environment);
    }

    @Test
    void aSecretIsAFileOrASettingOfItsNameAndIsReadWhenItIsUsed() throws IOException {
        Secrets secrets = secrets();
        assertThat(secrets.find("default", "by-setting")).hasValue("of a setting");
        assertThat(secrets.find("default", "by-file")).isEmpty();
        Files.createDirectories(directory.resolve("secrets"));
        Files.writeString(directory.resolve("secrets/by-file"), "of a file\n");
        Files.writeString(directory.resolve("secrets/blank"), " \n");
        assertThat(secrets.find("default", "by-file")).hasValue("of a file");
        assertThat(secrets.find("default", "blank")).isEmpty();
    }

    @Test
    void aProjectHasItsOwnSecretsAndNobodyElses() throws IOException {
        Files.createDirectories(directory.resolve("secrets/red"));
        Files.writeString(directory.resolve("secrets/red/hub"), "red's");
        Files.writeString(directory.resolve("secrets/hub"), "the default project's");
        assertThat(secrets().find("red", "hub")).hasValue("red's");
        assertThat(secrets().find("default", "hub")).hasValue("the default project's");
        assertThat(secrets().find("blue", "hub")).isEmpty();
        assertThat(secrets().find("blue", "by-setting")).isEmpty();
        assertThat(secrets().find("../secrets/red", "hub")).isEmpty();
    }

    @Test
    void nothingElseOfTheMachineCanBeNamed() throws IOException {
        Files.createDirectories(directory.resolve("secrets"));
        Files.writeString(directory.resolve("beside"), "not for clients");
        for (String name : new String[]{"../beside", "..", ".", "", "spring.datasource.password", "PATH", "a/b", "a\0b",
                directory + "/beside"}) {
            assertThat(secrets().find("default", name)).as(name).isEmpty();
        }
    }
}

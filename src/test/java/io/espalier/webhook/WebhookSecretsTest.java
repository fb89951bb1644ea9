package io.espalier.webhook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Base64;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WebhookSecretsTest {

    private static final String SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    @TempDir
    private Path temp;

    static WebhookSettings settings(Path keyFile, String secrets) {
        return new WebhookSettings(true, keyFile, secrets, "/espalier", 8, 2, Duration.ofSeconds(5), Duration.ofMillis(50),
                List.of(Duration.ofSeconds(10), Duration.ofSeconds(100)), Duration.ofDays(5), Duration.ofHours(24), Duration.ofDays(30),
                50);
    }

    private WebhookSecrets secrets() {
        return new WebhookSecrets(settings(temp.resolve("made/webhooks.key"), temp.toString()));
    }

    @Test
    void whatWasSealedIsOpenedForItsWebhookAndForNoOther() {
        WebhookSecrets.Sealed sealed = secrets().seal(SECRET, "whk_1");

        assertThat(secrets().open(sealed, "whk_1")).isEqualTo(SECRET);
        assertThat(new String(sealed.bytes(), StandardCharsets.ISO_8859_1)).doesNotContain(SECRET.substring(6));
        assertThatThrownBy(() -> secrets().open(sealed, "whk_2")).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("whk_2").hasMessageNotContaining(SECRET);
    }

    @Test
    void theKeyIsMadeOnceAndIsTheOwnersAlone() throws Exception {
        assertThat(secrets().known()).isEmpty();
        WebhookSecrets.Sealed first = secrets().seal(SECRET, "whk_1");
        WebhookSecrets.Sealed second = secrets().seal(SECRET, "whk_1");
        Path file = temp.resolve("made/webhooks.key");

        assertThat(first.key()).isEqualTo(second.key());
        assertThat(first.bytes()).isNotEqualTo(second.bytes());
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file))).isEqualTo("rw-------");
        try (var files = Files.list(file.getParent())) {
            assertThat(files).containsExactly(file);
        }
    }

    @Test
    void aNewKeyGoesAboveTheOldOneAndBothOpen() throws Exception {
        WebhookSecrets.Sealed old = secrets().seal(SECRET, "whk_1");
        Path file = temp.resolve("made/webhooks.key");
        Files.writeString(file, Base64.getEncoder().encodeToString(new byte[32]) + "\n" + Files.readString(file));
        WebhookSecrets.Sealed fresh = secrets().seal(SECRET, "whk_1");

        assertThat(fresh.key()).isNotEqualTo(old.key());
        assertThat(secrets().known()).containsExactly(fresh.key(), old.key());
        assertThat(secrets().open(old, "whk_1")).isEqualTo(SECRET);
        assertThat(secrets().open(fresh, "whk_1")).isEqualTo(SECRET);
    }

    @Test
    void aLineThatIsNoKeyIsRefusedWithoutSayingIt() throws Exception {
        Path file = Files.writeString(Files.createDirectories(temp.resolve("made")).resolve("webhooks.key"), "bm8ga2V5\n");

        assertThatThrownBy(() -> secrets().seal(SECRET, "whk_1")).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining(file.toString()).hasMessageContaining("32 bytes").hasMessageNotContaining("bm8ga2V5");
    }

    @Test
    void aSecretThatIsNamedIsReadFromTheProjectsDirectory() throws Exception {
        Files.writeString(Files.createDirectories(temp.resolve("team-a")).resolve("pager"), SECRET + "\n\n" + SECRET + "\n");

        assertThat(secrets().named("team-a", "pager")).containsExactly(SECRET, SECRET);
        assertThat(secrets().isThere("team-a", "pager")).isTrue();
        assertThat(secrets().isThere("team-b", "pager")).isFalse();
        assertThat(new WebhookSecrets(settings(temp.resolve("k"), "")).isThere("team-a", "pager")).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"../team-a/pager", "..", ".", "", "/etc/passwd", "nothing", "empty", "other"})
    void aNameThatLeadsNowhereOrElsewhereIsNone(String name) throws Exception {
        Path own = Files.createDirectories(temp.resolve("team-b"));
        Files.writeString(Files.createDirectories(temp.resolve("team-a")).resolve("pager"), SECRET);
        Files.writeString(own.resolve("empty"), "\n");
        Files.writeString(own.resolve("other"), "password\n");

        assertThat(secrets().isThere("team-b", name)).isFalse();
    }
}

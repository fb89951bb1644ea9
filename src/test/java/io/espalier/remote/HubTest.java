package io.espalier.remote;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

import io.espalier.egress.Egress;
import io.espalier.egress.EgressSettings;
import io.espalier.remote.RemoteFile.Digest;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a hub says of its files, and their bytes from any place on. */
class HubTest {

    private static final String TEXT = "{\"model_type\": \"any\"}";

    @TempDir
    private Path directory;
    private final Egress egress = new Egress(new EgressSettings(List.of("127.0.0.1"), true, List.of(443), Duration.ofSeconds(5),
            Duration.ofSeconds(20), Duration.ofMinutes(1), ""));
    private HubServer server;

    @BeforeEach
    void serve() throws Exception {
        Files.writeString(directory.resolve("config.json"), TEXT);
        Files.writeString(directory.resolve("model.safetensors"), "weights and weights");
        server = new HubServer(directory);
    }

    @AfterEach
    void close() throws Exception {
        server.close();
        egress.close();
    }

    private Hub hub(String token) {
        return new Hub(egress, URI.create(server.base()), "main", token, Duration.ofSeconds(30));
    }

    private static String all(RemoteFiles.Bytes bytes) throws RemoteException {
        try (bytes) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            byte[] some = new byte[5];
            for (int n = bytes.read(some); n >= 0; n = bytes.read(some)) {
                out.write(some, 0, n);
            }
            return out.toString(StandardCharsets.UTF_8);
        }
    }

    @Test
    void aSmallFileHasItsNameInGitAndALargeOneItsSha256() throws RemoteException {
        Hub hub = hub(null);
        RemoteFile small = hub.find("config.json").orElseThrow();
        RemoteFile large = hub.find("model.safetensors").orElseThrow();

        assertThat(small.bytes()).isEqualTo(TEXT.length());
        assertThat(small.digest()).isEqualTo(new Digest(Digest.Kind.GIT_BLOB, HubServer.hex("SHA-1",
                ("blob " + TEXT.length() + "\0" + TEXT).getBytes(StandardCharsets.UTF_8))));
        assertThat(large.bytes()).isEqualTo(19);
        assertThat(large.digest().kind()).isEqualTo(Digest.Kind.SHA256);
        assertThat(hub.revision()).isEqualTo(HubServer.COMMIT);
        assertThat(hub.find("nothing.json")).isEmpty();
    }

    @Test
    void aRepositoryThatWasRenamedIsFoundUnderItsNewName() throws RemoteException {
        for (String name : List.of("config.json", "nothing.json")) {
            server.headFault(name, (exchange, content) -> exchange.getRequestURI().getPath().contains("/repo/")
                    && HubServer.redirect(server.base().replace("/repo", "/renamed") + "/resolve/main/" + name).happens(exchange, content));
        }
        Hub hub = hub(null);
        assertThat(hub.find("config.json").orElseThrow().bytes()).isEqualTo(TEXT.length());
        assertThat(hub.find("nothing.json")).isEmpty();
    }

    @Test
    void bytesComeFromAnyPlaceOnWhereTheFileIsTheSame() throws RemoteException {
        Hub hub = hub(null);
        RemoteFile large = hub.find("model.safetensors").orElseThrow();
        RemoteFiles.Bytes whole = hub.open(large, 0, null);
        assertThat(all(whole)).isEqualTo("weights and weights");
        RemoteFiles.Bytes rest = hub.open(large, 8, whole.tag());
        assertThat(rest.from()).isEqualTo(8);
        assertThat(rest.total()).isEqualTo(19);
        assertThat(all(rest)).isEqualTo("and weights");
    }

    @Test
    void whoIsNotAllowedInIsToldSoAndAskingAgainIsNoUse() {
        server.guarded("secret");
        assertThatThrownBy(() -> hub(null).find("config.json")).isInstanceOfSatisfying(RemoteException.class,
                e -> assertThat(e.passing()).as(e.getMessage()).isFalse()).hasMessageContaining("config.json: answered 401");
        assertThatThrownBy(() -> hub("other").find("config.json")).hasMessageContaining("answered 401").hasMessageNotContaining("other");
    }

    @Test
    void aConnectionThatBreaksIsAReasonThatMayPass() throws RemoteException {
        server.fault("model.safetensors", HubServer.cutAfter(4));
        Hub hub = hub(null);
        RemoteFile large = hub.find("model.safetensors").orElseThrow();
        assertThatThrownBy(() -> all(hub.open(large, 0, null))).isInstanceOfSatisfying(RemoteException.class,
                e -> assertThat(e.passing()).isTrue()).hasMessageNotContaining(HubServer.SIGNATURE);
    }
}

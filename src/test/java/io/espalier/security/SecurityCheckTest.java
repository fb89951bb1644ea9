package io.espalier.security;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPairGenerator;
import java.security.spec.ECGenParameterSpec;
import java.util.Base64;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.mock.env.MockEnvironment;

/** What a start says of settings that would leave the service open, or closed to everybody. */
class SecurityCheckTest {

    @TempDir
    private Path temp;

    private static List<String> problems(String... settings) {
        MockEnvironment environment = new MockEnvironment().withProperty("espalier.security.mode", "open")
                .withProperty("espalier.security.jwt.clock-skew", "30s").withProperty("espalier.security.jwt.roles-claim", "roles")
                .withProperty("espalier.security.oidc.scopes", "openid").withProperty("server.address", "127.0.0.1");
        for (String setting : settings) {
            environment.setProperty(setting.replaceAll("=.*", ""), setting.replaceFirst("[^=]*=", ""));
        }
        return SecurityCheck.problems(environment);
    }

    @ParameterizedTest
    @ValueSource(strings = {"127.0.0.1", "127.8.9.10", "::1", "localhost"})
    void anOpenServiceOnThisMachineIsFine(String address) {
        assertThat(problems("server.address=" + address)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"0.0.0.0", "::", "192.0.2.7", ""})
    void anOpenServiceOnANetworkIsRefusedUnlessItIsMeant(String address) {
        assertThat(problems("server.address=" + address)).singleElement().asString().contains("espalier.security.mode is open",
                "espalier.security.open-beyond-loopback");
        assertThat(problems("server.address=" + address, "espalier.security.open-beyond-loopback=true")).isEmpty();
        assertThat(problems("server.address=" + address, "espalier.security.mode=api-keys")).isEmpty();
        assertThat(problems("server.address=" + address, "espalier.api.enabled=false")).as("a worker has nothing to open").isEmpty();
    }

    @Test
    void anAdministratorsKeyHasToBeThereAndLong() throws IOException {
        Path file = temp.resolve("key");
        assertThat(problems("espalier.security.mode=api-keys", "espalier.security.admin-key-file=" + file)).singleElement().asString()
                .contains("no such file");
        Files.writeString(file, "short-secret");
        assertThat(problems("espalier.security.mode=api-keys", "espalier.security.admin-key-file=" + file)).singleElement().asString()
                .contains("12 characters (expected: 32").doesNotContain("short-secret");
        Files.writeString(file, "0123456789abcdef".repeat(2) + "\n");
        assertThat(problems("espalier.security.mode=api-keys", "espalier.security.admin-key-file=" + file)).isEmpty();
    }

    @Test
    void tokensNeedAnAudienceAndSomebodyWhoSignsThem() {
        assertThat(problems("espalier.security.mode=jwt")).hasSize(2).anySatisfy(line -> assertThat(line).contains("jwt.audience"))
                .anySatisfy(line -> assertThat(line).contains("jwt.issuer-uri, jwt.jwk-set-uri, jwt.public-key-file: missing"));
        assertThat(problems("espalier.security.mode=jwt", "espalier.security.jwt.audience=a",
                "espalier.security.jwt.issuer-uri=http://issuer.example")).singleElement().asString().contains("an https address");
        assertThat(problems("espalier.security.mode=jwt", "espalier.security.jwt.audience=a",
                "espalier.security.jwt.issuer-uri=https://issuer.example")).isEmpty();
        assertThat(problems("espalier.security.mode=jwt", "espalier.security.jwt.audience=a",
                "espalier.security.jwt.jwk-set-uri=http://127.0.0.1:9/keys")).isEmpty();
    }

    @Test
    void aPublicKeyIsRsaOrEcAndNotWeak() throws IOException, GeneralSecurityException {
        KeyPairGenerator rsa = KeyPairGenerator.getInstance("RSA");
        rsa.initialize(2048);
        assertThat(withKey(rsa)).isEmpty();
        rsa.initialize(1024);
        assertThat(withKey(rsa)).singleElement().asString().contains("RSA of 2048 bits or more");
        KeyPairGenerator ec = KeyPairGenerator.getInstance("EC");
        ec.initialize(new ECGenParameterSpec("secp256r1"));
        assertThat(withKey(ec)).isEmpty();
        ec.initialize(new ECGenParameterSpec("secp384r1"));
        assertThat(withKey(ec)).singleElement().asString().contains("EC P-256");
        Files.writeString(temp.resolve("key.pem"), "no key");
        assertThat(problems("espalier.security.mode=jwt", "espalier.security.jwt.audience=a",
                "espalier.security.jwt.public-key-file=" + temp.resolve("key.pem"))).singleElement().asString().contains("PEM");
    }

    private List<String> withKey(KeyPairGenerator generator) throws IOException {
        Files.writeString(temp.resolve("key.pem"), "-----BEGIN PUBLIC KEY-----\n"
                + Base64.getMimeEncoder(64, "\n".getBytes(java.nio.charset.StandardCharsets.US_ASCII))
                        .encodeToString(generator.generateKeyPair().getPublic().getEncoded())
                + "\n-----END PUBLIC KEY-----\n");
        return problems("espalier.security.mode=jwt", "espalier.security.jwt.audience=a",
                "espalier.security.jwt.public-key-file=" + temp.resolve("key.pem"));
    }

    @Test
    void originsAreOriginsAndNothingElse() {
        assertThat(problems("espalier.security.allowed-origins=https://a.example,http://127.0.0.1:3000")).isEmpty();
        assertThat(problems("espalier.security.allowed-origins=*")).singleElement().asString().contains("allowed-origins: *");
        assertThat(problems("espalier.security.allowed-origins=https://a.example/path")).hasSize(1);
    }

    @Test
    void aSignInNeedsAnIssuerWhoseTokensAreTaken() {
        String[] good = {"espalier.security.mode=jwt", "espalier.security.jwt.audience=a", "espalier.security.oidc.client-id=dash",
                "espalier.security.jwt.issuer-uri=https://issuer.example"};
        assertThat(problems(good)).isEmpty();
        assertThat(problems("espalier.security.mode=api-keys", good[2], good[3])).singleElement().asString().contains("mode jwt");
        assertThat(problems(good[0], good[1], good[2], "espalier.security.jwt.jwk-set-uri=https://issuer.example/keys")).singleElement()
                .asString().contains("oidc.issuer-uri: missing");
        Map.of("oidc.scopes=profile", "openid among them", "oidc.token-uri=https://issuer.example/token", "only one of them",
                "oidc.end-session-uri=http://issuer.example/out", "an https address", "oidc.parameters=state=x", "name=value")
                .forEach((setting, said) -> assertThat(problems(good[0], good[1], good[2], good[3], "espalier.security." + setting))
                        .singleElement().asString().contains(said));
    }
}

package io.espalier.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

import com.sun.net.httpserver.HttpServer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What people are told of signing in, against an issuer that is there, is away, or says what it should not. */
class SignInTest {

    private final AtomicLong nanos = new AtomicLong();
    private final AtomicInteger asked = new AtomicInteger();
    private HttpServer server;
    private String issuer;
    private volatile int status = 200;
    private volatile String metadata;

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        issuer = "http://127.0.0.1:" + server.getAddress().getPort() + "/realms/ml";
        metadata = """
                {"issuer": "%s", "authorization_endpoint": "https://login.example/auth?tenant=1", "token_endpoint": "https://token.example:8443/token",
                 "end_session_endpoint": "https://login.example/out", "code_challenge_methods_supported": ["plain", "S256"]}"""
                .formatted(issuer);
        server.createContext("/realms/ml/.well-known/openid-configuration", exchange -> {
            asked.incrementAndGet();
            byte[] body = metadata.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(status, body.length);
            try (OutputStream out = exchange.getResponseBody()) {
                out.write(body);
            }
        });
        server.start();
    }

    @AfterEach
    void stop() {
        server.stop(0);
    }

    private static SecuritySettings settings(SecuritySettings.Mode mode, String issuer, SecuritySettings.Oidc oidc) {
        return new SecuritySettings(mode, false, "", false, List.of(),
                new SecuritySettings.Jwt(issuer, "", "", "aud", Duration.ZERO, "", "roles", ""), oidc);
    }

    private static SecuritySettings.Oidc oidc(String name, String parameters) {
        return new SecuritySettings.Oidc("dash", "openid", name, parameters, "", "", "", "");
    }

    private SignIn signIn() {
        return new SignIn(settings(SecuritySettings.Mode.JWT, issuer, oidc("", "")), nanos::get);
    }

    private void pass(Duration time) {
        nanos.addAndGet(time.toNanos());
    }

    @Test
    void theIssuerSaysWhereAndIsNotAskedEachTime() {
        SignIn signIn = signIn();

        SignIn.Provider provider = signIn.offer().provider();

        assertThat(provider).isEqualTo(new SignIn.Provider("127.0.0.1", issuer, "dash", "openid", "https://login.example/auth?tenant=1",
                "https://token.example:8443/token", "https://login.example/out", Map.of()));
        assertThat(provider.tokenOrigin()).isEqualTo("https://token.example:8443");
        assertThat(signIn.offer().trouble()).isNull();
        assertThat(asked).hasValue(1);
        pass(Duration.ofMinutes(6));
        metadata = metadata.replace("https://login.example/out", "https://login.example/bye");
        await().untilAsserted(() -> assertThat(signIn.offer().provider().endSessionEndpoint()).isEqualTo("https://login.example/bye"));
        assertThat(asked).hasValue(2);
    }

    @Test
    void whoIsAwayAtFirstIsAskedAgainAndWhoIsAwayLaterIsNotMissed() {
        status = 503;
        SignIn signIn = signIn();
        assertThat(signIn.offer().provider()).isNull();
        assertThat(signIn.offer().trouble()).contains("the issuer " + issuer + " does not say how to sign in", "503");
        assertThat(asked).as("a stranger does not make us ask all the time").hasValue(1);

        status = 200;
        pass(Duration.ofSeconds(11));
        await().untilAsserted(() -> assertThat(signIn.offer().provider()).isNotNull());

        status = 500;
        pass(Duration.ofMinutes(6));
        await().untilAsserted(() -> {
            assertThat(signIn.offer().provider()).as("what was known").isNotNull();
            assertThat(asked).hasValue(3);
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"{}", "[]", "<html>", "{\"issuer\": \"https://other.example\"}", "{\"issuer\": \"$\"}",
            "{\"issuer\": \"$\", \"authorization_endpoint\": \"https://a.example\", \"token_endpoint\": 7}",
            "{\"issuer\": \"$\", \"authorization_endpoint\": \"https://a.example\", \"token_endpoint\": \"http://a.example\"}",
            "{\"issuer\": \"$\", \"authorization_endpoint\": \"javascript:alert(1)\", \"token_endpoint\": \"https://a.example\"}",
            "{\"issuer\": \"$\", \"authorization_endpoint\": \"https://a.example\", \"token_endpoint\": \"https://a.example; script-src *\"}",
            "{\"issuer\": \"$\", \"authorization_endpoint\": \"https://a.example\", \"token_endpoint\": \"https://a.example\","
                    + " \"code_challenge_methods_supported\": [\"plain\"]}"})
    void whatAnIssuerMustNotSayIsNotHandedOn(String said) {
        metadata = said.replace("$", issuer);

        SignIn.Offer offer = signIn().offer();

        assertThat(offer.provider()).isNull();
        assertThat(offer.trouble()).contains("does not say how to sign in");
    }

    @Test
    void whereTheAddressesAreSetNobodyIsAsked() {
        SignIn signIn = new SignIn(settings(SecuritySettings.Mode.JWT, issuer,
                new SecuritySettings.Oidc("dash", "openid", "Corporate login",
                        "audience=https%3A%2F%2Fespalier.example&prompt=login", "https://login.example", "https://login.example/auth",
                        "https://login.example/token", "")),
                nanos::get);

        assertThat(signIn.offer().provider()).isEqualTo(
                new SignIn.Provider("Corporate login", "https://login.example", "dash", "openid", "https://login.example/auth",
                        "https://login.example/token", null, Map.of("audience", "https://espalier.example", "prompt", "login")));
        assertThat(asked).hasValue(0);
    }

    @Test
    void otherwiseThereIsNothingToSignInWith() {
        SecuritySettings.Oidc none = new SecuritySettings.Oidc("", "openid", "", "", "", "", "", "");

        assertThat(new SignIn(settings(SecuritySettings.Mode.JWT, issuer, none)).offer())
                .isEqualTo(new SignIn.Offer(SecuritySettings.Mode.JWT, null, null));
        assertThat(new SignIn(settings(SecuritySettings.Mode.OPEN, "", none)).offer())
                .isEqualTo(new SignIn.Offer(SecuritySettings.Mode.OPEN, null, null));
        assertThat(asked).hasValue(0);
    }

    @ParameterizedTest
    @ValueSource(strings = {"audience", "=x", "state=1", "a=b&redirect_uri=https://evil.example", "&", "a=%zz"})
    void parametersAreNamedValuesAndNoneOfTheFlowsOwn(String query) {
        assertThatThrownBy(() -> SignIn.parameters(query)).isInstanceOf(IllegalArgumentException.class);
    }
}

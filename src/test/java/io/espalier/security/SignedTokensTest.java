package io.espalier.security;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PublicKey;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Base64;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSSigner;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpServer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tokens against a key in a file; {@code SecuredTest} has those against an issuer. */
class SignedTokensTest {

    private static final Instant NOW = Instant.parse("2030-01-01T00:00:00Z");
    private static final RSAKey RSA = key(() -> new RSAKeyGenerator(2048).generate());
    private static final ECKey EC = key(() -> new ECKeyGenerator(Curve.P_256).generate());

    @TempDir
    private Path temp;

    private interface Making<T> {
        T make() throws JOSEException;
    }

    private static <T> T key(Making<T> making) {
        try {
            return making.make();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    private SignedTokens tokens(PublicKey key, String projectClaim, String rolesClaim, String prefix) throws IOException {
        Path file = Files.writeString(temp.resolve("key.pem"), "-----BEGIN PUBLIC KEY-----\n"
                + Base64.getEncoder().encodeToString(key.getEncoded()) + "\n-----END PUBLIC KEY-----\n");
        // why this clock: what counts is the database's time, not this machine's
        return new SignedTokens(new SecuritySettings.Jwt("", "", file.toString(), "aud", Duration.ofSeconds(30), projectClaim, rolesClaim,
                prefix), Clock.fixed(NOW, ZoneOffset.UTC));
    }

    private SignedTokens usual() throws IOException, JOSEException {
        return tokens(RSA.toRSAPublicKey(), "project", "roles", "");
    }

    private static String signed(JWSAlgorithm algorithm, JWSSigner signer, UnaryOperator<JWTClaimsSet.Builder> claims)
            throws JOSEException {
        SignedJWT token = new SignedJWT(new JWSHeader(algorithm), claims.apply(new JWTClaimsSet.Builder().subject("s").audience("aud")
                .expirationTime(Date.from(NOW.plusSeconds(60))).claim("project", "p").claim("roles", "viewer")).build());
        token.sign(signer);
        return token.serialize();
    }

    private static String token(UnaryOperator<JWTClaimsSet.Builder> claims) throws JOSEException {
        return signed(JWSAlgorithm.RS256, new RSASSASigner(RSA), claims);
    }

    @Test
    void aKeyFromAFileIsEnoughForEitherAlgorithm() throws Exception {
        assertThat(usual().holder(token(claims -> claims))).isEqualTo(new Holder("jwt:s", "p", Role.VIEWER));
        assertThat(tokens(EC.toECPublicKey(), "project", "roles", "").holder(signed(JWSAlgorithm.ES256, new ECDSASigner(EC), c -> c)))
                .isEqualTo(new Holder("jwt:s", "p", Role.VIEWER));
    }

    @Test
    void noOtherAlgorithmIsTakenEvenByTheRightKey() throws Exception {
        for (JWSAlgorithm other : List.of(JWSAlgorithm.RS512, JWSAlgorithm.PS256)) {
            String token = signed(other, new RSASSASigner(RSA), claims -> claims);
            SignedTokens tokens = usual();
            assertThatThrownBy(() -> tokens.holder(token)).isInstanceOf(RefusedTokenException.class);
        }
    }

    @Test
    void timesMayDifferByTheSkewAndNoMore() throws Exception {
        SignedTokens tokens = usual();
        assertThat(tokens.holder(token(claims -> claims.expirationTime(Date.from(NOW.minusSeconds(29))))).role()).isEqualTo(Role.VIEWER);
        String late = token(claims -> claims.expirationTime(Date.from(NOW.minusSeconds(31))));
        assertThatThrownBy(() -> tokens.holder(late)).isInstanceOf(RefusedTokenException.class).hasMessageContaining("expired");
        assertThat(tokens.holder(token(claims -> claims.notBeforeTime(Date.from(NOW.plusSeconds(29))))).role()).isEqualTo(Role.VIEWER);
        String early = token(claims -> claims.notBeforeTime(Date.from(NOW.plusSeconds(31))));
        assertThatThrownBy(() -> tokens.holder(early)).isInstanceOf(RefusedTokenException.class);
    }

    @Test
    void rolesMayLieDeeperAndHaveAPrefixAndTheHighestCounts() throws Exception {
        SignedTokens tokens = tokens(RSA.toRSAPublicKey(), "project", "realm_access.roles", "espalier-");
        String token = token(claims -> claims.claim("realm_access",
                Map.of("roles", List.of("offline", "admin", "espalier-viewer", "espalier-submitter", 7))));

        assertThat(tokens.holder(token).role()).as("admin without the prefix is somebody else's word").isEqualTo(Role.SUBMITTER);
        String claim = token(claims -> claims.claim("realm_access.roles", "espalier-viewer other"));
        assertThat(tokens.holder(claim).role()).isEqualTo(Role.VIEWER);
    }

    @Test
    void onlyAnAdministratorMayLackTheProjectUnlessTokensHaveNone() throws Exception {
        assertThat(usual().holder(token(claims -> claims.claim("project", null).claim("roles", "admin"))).project()).isNull();
        String viewer = token(claims -> claims.claim("project", null));
        SignedTokens usual = usual();
        assertThatThrownBy(() -> usual.holder(viewer)).isInstanceOfSatisfying(RefusedTokenException.class,
                e -> assertThat(e.known()).isTrue());
        assertThat(tokens(RSA.toRSAPublicKey(), "", "roles", "").holder(viewer).project()).isNull();
    }

    /** Whoever asks waits for the issuer's answer, one after the other: a stranger with a token of his own making must not make hundreds wait for ever. */
    @Test
    void anIssuerWhoDoesNotSayWhereHisKeysAreIsLeftAloneForAMoment() throws Exception {
        AtomicInteger asked = new AtomicInteger();
        HttpServer issuer = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        issuer.createContext("/", exchange -> {
            asked.incrementAndGet();
            exchange.sendResponseHeaders(503, -1);
            exchange.close();
        });
        issuer.start();
        try {
            SignedTokens tokens = of("http://127.0.0.1:" + issuer.getAddress().getPort());
            String token = token(claims -> claims);
            for (int i = 0; i < 50; i++) {
                assertThatThrownBy(() -> tokens.holder(token)).isInstanceOf(IssuerAwayException.class);
            }
            // why not once: on a machine that is busy the moment may be over before the fifty are
            assertThat(asked).hasValueLessThan(10);
        } finally {
            issuer.stop(0);
        }
    }

    @Test
    void keysAreNotFetchedFromWhereSomebodyOnTheWayCouldChangeThem() throws Exception {
        HttpServer issuer = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        issuer.createContext("/", exchange -> {
            byte[] said = "{\"jwks_uri\": \"http://keys.example/jwks\"}".getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, said.length);
            exchange.getResponseBody().write(said);
            exchange.close();
        });
        issuer.start();
        try {
            SignedTokens tokens = of("http://127.0.0.1:" + issuer.getAddress().getPort());
            String token = token(claims -> claims);
            assertThatThrownBy(() -> tokens.holder(token)).isInstanceOf(IssuerAwayException.class).rootCause()
                    .hasMessageContaining("jwks_uri: http://keys.example/jwks (expected: an https address");
        } finally {
            issuer.stop(0);
        }
    }

    private static SignedTokens of(String issuer) throws IOException {
        return new SignedTokens(new SecuritySettings.Jwt(issuer, "", "", "aud", Duration.ZERO, "", "roles", ""),
                Clock.fixed(NOW, ZoneOffset.UTC));
    }

    @Test
    void anIssuerWhoIsAwayIsSaidToBeAwayAndTheTokenIsNotCalledBad() throws Exception {
        int nobody;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            nobody = free.getLocalPort();
        }
        SignedTokens tokens = of("http://127.0.0.1:" + nobody);
        String token = token(claims -> claims);
        assertThatThrownBy(() -> tokens.holder(token)).isInstanceOf(IssuerAwayException.class);
    }
}

package io.espalier.api;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.UnaryOperator;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpServer;
import org.springframework.context.ApplicationContextInitializer;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.MapPropertySource;

/** Signs tokens and lists its keys on this machine, as an identity provider does; and makes a service trust it, and one key in a file. */
final class Issuer implements ApplicationContextInitializer<ConfigurableApplicationContext> {

    static final String AUDIENCE = "https://espalier.example";
    static final String ADMIN_KEY = "first-" + "0123456789abcdef".repeat(3);
    static final String CLIENT = "espalier-dashboard";
    static final Issuer IT = new Issuer();

    static final RSAKey RSA;
    static final ECKey EC;
    private static final HttpServer SERVER;
    private static final AtomicInteger ASKED = new AtomicInteger();

    static {
        try {
            RSA = new RSAKeyGenerator(2048).keyID("rsa").generate();
            EC = new ECKeyGenerator(Curve.P_256).keyID("ec").generate();
            SERVER = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            answer("/.well-known/openid-configuration",
                    """
                            {"issuer": "$", "jwks_uri": "$/keys", "authorization_endpoint": "$/authorize", "token_endpoint": "https://token.example/token"}"""
                            .replace("$", uri()));
            answer("/keys", new JWKSet(List.of(RSA.toPublicJWK(), EC.toPublicJWK())).toString());
            SERVER.start();
        } catch (IOException | JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void answer(String path, String json) {
        SERVER.createContext(path, exchange -> {
            ASKED.incrementAndGet();
            byte[] body = json.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, body.length);
            try (OutputStream out = exchange.getResponseBody()) {
                out.write(body);
            }
        });
    }

    static String uri() {
        return "http://127.0.0.1:" + SERVER.getAddress().getPort();
    }

    /** How often anything was asked of it. */
    static int asked() {
        return ASKED.get();
    }

    @Override
    public void initialize(ConfigurableApplicationContext context) {
        try {
            Path file = Files.createDirectories(Path.of("target/api-test").toAbsolutePath()).resolve("admin-key");
            Files.writeString(file, ADMIN_KEY + "\n");
            context.getEnvironment().getPropertySources()
                    .addFirst(new MapPropertySource("issuer", Map.of("espalier.security.mode", "jwt", "espalier.security.admin-key-file",
                            file.toString(), "espalier.security.jwt.issuer-uri", uri(), "espalier.security.jwt.audience", AUDIENCE,
                            "espalier.security.allowed-origins", "https://dashboard.example", "espalier.security.oidc.client-id", CLIENT)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A good token, for ten minutes. */
    static String token(String subject, String project, String... roles) {
        return token(claims -> claims.subject(subject).claim("project", project).claim("roles", List.of(roles)));
    }

    static String token(UnaryOperator<JWTClaimsSet.Builder> claims) {
        return signed(RSA, claims.apply(good()).build());
    }

    static JWTClaimsSet.Builder good() {
        Instant now = Instant.now();
        return new JWTClaimsSet.Builder().issuer(uri()).audience(AUDIENCE).issueTime(Date.from(now))
                .expirationTime(Date.from(now.plusSeconds(600)));
    }

    static String signed(RSAKey key, JWTClaimsSet claims) {
        try {
            SignedJWT token = new SignedJWT(
                    new JWSHeader.Builder(JWSAlgorithm.RS256).keyID(key.getKeyID()).type(new JOSEObjectType("at+jwt")).build(), claims);
            token.sign(new RSASSASigner(key));
            return token.serialize();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    static String signed(ECKey key, JWTClaimsSet claims) {
        try {
            SignedJWT token = new SignedJWT(new JWSHeader.Builder(JWSAlgorithm.ES256).keyID(key.getKeyID()).build(), claims);
            token.sign(new ECDSASigner(key));
            return token.serialize();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }
}

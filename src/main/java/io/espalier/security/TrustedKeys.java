package io.espalier.security;

import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.util.Base64;
import java.util.List;

import com.nimbusds.jose.KeySourceException;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSelector;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.SecurityContext;

/** The keys by which tokens are trusted: one from a file, or those that an issuer lists, fetched when they are needed first. */
final class TrustedKeys {

    /** Keys are asked for again after so long, and for an unknown key id at most that often: a stranger must not make us ask all the time. */
    private static final long KEEP_MILLIS = 5 * 60_000;
    private static final long REST_MILLIS = 10_000;
    /** And an issuer who did not say where they are is left alone for so long: whoever asks meanwhile would wait for the same, one after the other. */
    private static final Duration AWAY = Duration.ofSeconds(5);
    /** The issuer may be away for so long without anybody noticing. */
    private static final long OUTAGE_MILLIS = 60 * 60_000;

    private TrustedKeys() {}

    static JWKSource<SecurityContext> of(SecuritySettings.Jwt jwt) throws IOException {
        return given(jwt.publicKeyFile())
                ? new ImmutableJWKSet<>(new JWKSet(pem(jwt.publicKeyFile())))
                : new Listed(given(jwt.jwkSetUri()) ? jwt.jwkSetUri() : null, jwt.issuerUri());
    }

    static boolean given(String setting) {
        return setting != null && !setting.isBlank();
    }

    /**
     * A public key as {@code openssl} writes it.
     *
     * @throws IOException when the file cannot be read or holds another key than RSA of 2048 bits and more, or EC P-256
     */
    static JWK pem(String file) throws IOException {
        String base64 = Files.readString(Path.of(file)).replaceAll("-----(BEGIN|END) PUBLIC KEY-----", "").replaceAll("\\s", "");
        for (String algorithm : List.of("RSA", "EC")) {
            try {
                PublicKey key = KeyFactory.getInstance(algorithm)
                        .generatePublic(new X509EncodedKeySpec(Base64.getDecoder().decode(base64)));
                if (key instanceof RSAPublicKey rsa && rsa.getModulus().bitLength() >= 2048) {
                    return new RSAKey.Builder(rsa).build();
                }
                if (key instanceof ECPublicKey ec && Curve.forECParameterSpec(ec.getParams()) == Curve.P_256) {
                    return new ECKey.Builder(Curve.P_256, ec).build();
                }
            } catch (GeneralSecurityException | IllegalArgumentException e) {
                // why: it may be of the other kind, and of none is said below
            }
        }
        throw new IOException(
                "no public key that is usable here (expected: PEM, -----BEGIN PUBLIC KEY-----, RSA of 2048 bits or more, or EC P-256)");
    }

    /** Keys behind an address. The address may itself have to be asked for, of an issuer that need not be there when this service starts. */
    private static final class Listed implements JWKSource<SecurityContext> {

        private final String address;
        private final String issuer;
        private JWKSource<SecurityContext> keys;
        private KeySourceException away;
        private long awayAt;

        private Listed(String address, String issuer) {
            this.address = address;
            this.issuer = issuer;
        }

        @Override
        public List<JWK> get(JWKSelector selector, SecurityContext context) throws KeySourceException {
            return keys().get(selector, context);
        }

        private synchronized JWKSource<SecurityContext> keys() throws KeySourceException {
            if (keys == null) {
                if (away != null && System.nanoTime() - awayAt < AWAY.toNanos()) {
                    throw away;
                }
                try {
                    URL url = url(address == null ? discovered() : address);
                    keys = JWKSourceBuilder.create(url, IssuerMetadata.web()).cache(KEEP_MILLIS, IssuerMetadata.WAIT_MILLIS)
                            .rateLimited(REST_MILLIS).outageTolerant(OUTAGE_MILLIS).retrying(true).build();
                } catch (IOException e) {
                    away = new KeySourceException("the issuer does not say where its keys are: " + e.getMessage(), e);
                    awayAt = System.nanoTime();
                    throw away;
                }
            }
            return keys;
        }

        /** As the issuer says. */
        private String discovered() throws IOException {
            String where = IssuerMetadata.of(issuer).text("jwks_uri");
            if (!SecurityCheck.isAddress(where)) {
                throw new IOException("jwks_uri: " + where + " (expected: an https address; http only on this machine)");
            }
            return where;
        }

        private static URL url(String text) throws MalformedURLException {
            try {
                return URI.create(text).toURL();
            } catch (IllegalArgumentException e) {
                throw (MalformedURLException) new MalformedURLException(text + " (expected: an address that begins with https)")
                        .initCause(e);
            }
        }
    }
}

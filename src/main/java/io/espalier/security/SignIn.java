package io.espalier.security;

import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.LongSupplier;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Component;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * How people get a token: what a page in a browser has to know for the authorization code flow (RFC 6749, section 4.1) with PKCE (RFC 7636). The issuer's
 * endpoints are asked for when they are first needed, and again when they are old; only the very first question is waited for.
 */
@Component
public class SignIn {

    private static final Logger log = LoggerFactory.getLogger(SignIn.class);

    private static final long KEEP_NANOS = 5 * 60_000_000_000L;
    private static final long REST_NANOS = 10_000_000_000L;

    /** What the page itself says in an authorization request. */
    private static final Set<String> OWN = Set.of("response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce",
            "code_challenge", "code_challenge_method");

    /**
     * What somebody who has no token is told.
     *
     * @param mode what a request has to bring
     * @param provider where people sign in; {@code null} where they cannot
     * @param trouble why they cannot now, although they are to; {@code null} otherwise
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Offer(SecuritySettings.Mode mode, Provider provider, String trouble) {}

    /**
     * An OpenID provider and how this service is registered there.
     *
     * @param name how it is called on a button
     * @param issuer as the {@code iss} of its ID tokens says it
     * @param clientId of the dashboard, a public client
     * @param scopes to ask for, separated by spaces
     * @param endSessionEndpoint {@code null} when it has none
     * @param parameters of the authorization request beside those of the standard
     */
    @JsonNaming(SnakeCaseStrategy.class)
    public record Provider(String name, String issuer, String clientId, String scopes, String authorizationEndpoint, String tokenEndpoint,
            String endSessionEndpoint, Map<String, String> parameters) {

        /** Scheme, host and port of where codes are exchanged for tokens. */
        public String tokenOrigin() {
            URI uri = URI.create(tokenEndpoint);
            return uri.getScheme() + "://" + uri.getRawAuthority();
        }
    }

    private record Known(Provider provider, String trouble, long until) {}

    private final SecuritySettings settings;
    private final LongSupplier nanos;
    private CompletableFuture<Known> known;
    private boolean asking;

    @Autowired
    SignIn(SecuritySettings settings) {
        this(settings, System::nanoTime);
    }

    SignIn(SecuritySettings settings, LongSupplier nanos) {
        this.settings = settings;
        this.nanos = nanos;
    }

    /** What can be done now. */
    public Offer offer() {
        if (!settings.offersSignIn()) {
            return new Offer(settings.mode(), null, null);
        }
        Known now = known().join();
        return new Offer(settings.mode(), now.provider, now.trouble);
    }

    /** Asks the issuer, so that nobody has to wait for it later. */
    public void prepare() {
        if (settings.offersSignIn()) {
            known();
        }
    }

    private synchronized CompletableFuture<Known> known() {
        if (known == null) {
            known = new CompletableFuture<>();
            ask(null);
        } else if (known.isDone() && !asking && nanos.getAsLong() - known.join().until >= 0) {
            ask(known.join().provider);
        }
        return known;
    }

    /** What was known goes on being good while the issuer is away. */
    private void ask(Provider before) {
        asking = true;
        Thread.ofVirtual().name("sign-in").start(() -> {
            Known now;
            try {
                now = new Known(provider(), null, nanos.getAsLong() + KEEP_NANOS);
            } catch (IOException | RuntimeException e) {
                log.warn("nobody can sign in with the issuer now: {}", e.toString());
                now = new Known(before, before == null ? words(e) : null, nanos.getAsLong() + REST_NANOS);
            }
            told(now);
        });
    }

    private synchronized void told(Known now) {
        asking = false;
        if (!known.complete(now)) {
            known = CompletableFuture.completedFuture(now);
        }
    }

    private String words(Exception e) {
        return "the issuer " + settings.signInIssuer() + " does not say how to sign in: "
                + (e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage());
    }

    private Provider provider() throws IOException {
        SecuritySettings.Oidc oidc = settings.oidc();
        String issuer = settings.signInIssuer();
        if (TrustedKeys.given(oidc.authorizationUri())) {
            return provider(issuer, oidc.authorizationUri(), oidc.tokenUri(), oidc.endSessionUri());
        }
        IssuerMetadata said = IssuerMetadata.of(issuer);
        if (!issuer.equals(said.text("issuer"))) {
            throw new IOException("it calls itself " + said.text("issuer") + " (expected: what espalier.security.oidc.issuer-uri, or "
                    + "espalier.security.jwt.issuer-uri, says to the letter)");
        }
        if (!said.mayTake("code_challenge_methods_supported", "S256")) {
            throw new IOException("it does not take PKCE with S256");
        }
        return provider(issuer, safe(said.text("authorization_endpoint")), safe(said.text("token_endpoint")),
                TrustedKeys.given(oidc.endSessionUri()) ? oidc.endSessionUri() : safe(said.optional("end_session_endpoint")));
    }

    private static String safe(String address) throws IOException {
        if (address != null && !SecurityCheck.isAddress(address)) {
            throw new IOException("it names " + address + " (expected: https addresses; http only on this machine)");
        }
        return address;
    }

    private Provider provider(String issuer, String authorization, String token, String endSession) {
        SecuritySettings.Oidc oidc = settings.oidc();
        return new Provider(TrustedKeys.given(oidc.name()) ? oidc.name() : URI.create(issuer).getHost(), issuer, oidc.clientId(),
                oidc.scopes(), authorization, token, TrustedKeys.given(endSession) ? endSession : null, parameters(oidc.parameters()));
    }

    /**
     * Parameters as a query has them.
     *
     * @throws IllegalArgumentException when it is none, or says what the page itself says
     */
    static Map<String, String> parameters(String query) {
        Map<String, String> parameters = new LinkedHashMap<>();
        if (TrustedKeys.given(query)) {
            for (String pair : query.strip().split("&", -1)) {
                String[] parts = pair.split("=", 2);
                if (parts.length < 2 || parts[0].isEmpty() || OWN.contains(parts[0])) {
                    throw new IllegalArgumentException(pair + " (expected: name=value, separated by &, with no name of the flow itself: "
                            + String.join(", ", OWN.stream().sorted().toList()) + ")");
                }
                parameters.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
            }
        }
        return parameters;
    }
}

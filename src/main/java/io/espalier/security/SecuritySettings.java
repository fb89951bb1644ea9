package io.espalier.security;

import java.time.Duration;
import java.util.List;
import java.util.Locale;

import jakarta.validation.constraints.NotNull;

import com.fasterxml.jackson.annotation.JsonValue;
import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.validation.annotation.Validated;

/**
 * Who is let in.
 *
 * @param mode what a request has to bring
 * @param openBeyondLoopback whether mode open is allowed on an address that other machines reach
 * @param adminKeyFile file whose content is a key of an administrator of all projects; empty for none
 * @param publicMetrics whether the metrics are given to whoever asks
 * @param allowedOrigins of web pages elsewhere that may use the API from a browser
 * @param jwt which tokens are trusted
 * @param oidc how people get one in a browser
 */
@Validated
@ConfigurationProperties("espalier.security")
public record SecuritySettings(@NotNull Mode mode, boolean openBeyondLoopback, String adminKeyFile, boolean publicMetrics,
        List<String> allowedOrigins, @NotNull Jwt jwt, @NotNull Oidc oidc) {

    /** What a request has to bring. */
    public enum Mode {
        /** Nothing: whoever asks may do everything. */
        OPEN,
        /** An API key. */
        API_KEYS,
        /** A signed token (JWT) of a trusted issuer, or an API key. */
        JWT;

        /** As it travels. */
        @JsonValue
        public String json() {
            return name().toLowerCase(Locale.ROOT);
        }

        @Override
        public String toString() {
            return json().replace('_', '-');
        }
    }

    /**
     * Which signed tokens are trusted, and what they say.
     *
     * @param issuerUri what their {@code iss} has to be; where their keys are is asked there, unless one of the next two says
     * @param jwkSetUri address of the keys
     * @param publicKeyFile PEM file of the one key
     * @param audience what their {@code aud} has to hold
     * @param clockSkew how much clocks may differ
     * @param projectClaim which claim names the project; empty: every holder sees every project
     * @param rolesClaim which claim holds the role, or several
     * @param rolePrefix what stands before viewer, submitter and admin there
     */
    public record Jwt(String issuerUri, String jwkSetUri, String publicKeyFile, String audience,
            @NotNull @DurationMin(millis = 0) Duration clockSkew, String projectClaim, String rolesClaim, String rolePrefix) {}

    /**
     * How people sign in with the issuer in a browser: authorization code flow with PKCE, as a public client.
     *
     * @param clientId under which the dashboard is registered; empty: nobody signs in this way
     * @param scopes that are asked for, separated by spaces
     * @param name how the issuer is called; empty for its host
     * @param parameters of the authorization request beside those of the standard, {@code name=value} separated by {@code &}
     * @param issuerUri of the sign-in; empty for that of the tokens
     * @param authorizationUri where people are sent; empty: the issuer says
     * @param tokenUri where a code is exchanged; empty: the issuer says
     * @param endSessionUri where people sign out; empty: the issuer says, unless it was not asked for the others
     */
    public record Oidc(String clientId, String scopes, String name, String parameters, String issuerUri, String authorizationUri,
            String tokenUri, String endSessionUri) {}

    public SecuritySettings {
        allowedOrigins = allowedOrigins == null ? List.of() : List.copyOf(allowedOrigins);
    }

    /** What a request may bring, for people. */
    public String words() {
        return mode == Mode.JWT ? "a token of the issuer, or an API key" : "an API key";
    }

    /** Whether people can sign in with the issuer. */
    boolean offersSignIn() {
        return mode == Mode.JWT && TrustedKeys.given(oidc.clientId());
    }

    /** Where they do. */
    String signInIssuer() {
        return TrustedKeys.given(oidc.issuerUri()) ? oidc.issuerUri() : jwt.issuerUri();
    }

    /** Whether a request has to bring anything. */
    public boolean asks() {
        return mode != Mode.OPEN;
    }
}

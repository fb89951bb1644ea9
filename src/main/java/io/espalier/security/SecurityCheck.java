package io.espalier.security;

import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;

import org.springframework.boot.context.properties.bind.BindException;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.core.env.Environment;

/** What settings of security must not be left together, looked at before anything else starts. */
public final class SecurityCheck {

    private static final String PREFIX = "espalier.security.";

    private SecurityCheck() {}

    /** Everything that is wrong, a sentence each; settings that do not even bind are not judged here. */
    public static List<String> problems(Environment environment) {
        List<String> problems = new ArrayList<>();
        SecuritySettings settings;
        try {
            settings = Binder.get(environment).bind("espalier.security", Bindable.of(SecuritySettings.class)).get();
        } catch (BindException e) {
            return problems;
        }
        String address = environment.getProperty("server.address", "");
        boolean api = !"false".equalsIgnoreCase(environment.getProperty("espalier.api.enabled"));
        if (!settings.asks() && api && !settings.openBeyondLoopback() && !isLoopback(address)) {
            problems.add("server.address: " + (address.isBlank() ? "every network" : address)
                    + " (expected: 127.0.0.1 or another address of this machine alone, because espalier.security.mode is open and whoever reaches "
                    + "the service may do everything; set the mode to api-keys or jwt, or, in a network that you trust, "
                    + "espalier.security.open-beyond-loopback to true)");
        }
        if (settings.asks()) {
            try {
                AdminKey.read(settings.adminKeyFile());
            } catch (IOException e) {
                problems.add(PREFIX + "admin-key-file: " + settings.adminKeyFile() + ": " + words(e));
            }
        }
        if (settings.mode() == SecuritySettings.Mode.JWT) {
            check(settings.jwt(), problems);
        }
        if (TrustedKeys.given(settings.oidc().clientId())) {
            checkSignIn(settings, problems);
        }
        settings.allowedOrigins().stream().filter(origin -> !origin.matches("https?://[A-Za-z0-9.:\\[\\]-]+")).forEach(origin -> problems
                .add(PREFIX + "allowed-origins: " + origin
                        + " (expected: origins such as https://dashboard.example, separated by commas)"));
        return problems;
    }

    private static void check(SecuritySettings.Jwt jwt, List<String> problems) {
        if (!TrustedKeys.given(jwt.audience())) {
            problems.add(PREFIX + "jwt.audience: missing (expected: what tokens for this service hold in aud, because a token for another "
                    + "service must not open this one)");
        }
        if (!TrustedKeys.given(jwt.rolesClaim())) {
            problems.add(PREFIX + "jwt.roles-claim: missing (expected: the claim that holds viewer, submitter or admin)");
        }
        if (TrustedKeys.given(jwt.publicKeyFile())) {
            try {
                TrustedKeys.pem(jwt.publicKeyFile());
            } catch (IOException e) {
                problems.add(PREFIX + "jwt.public-key-file: " + jwt.publicKeyFile() + ": " + words(e));
            }
        } else if (!TrustedKeys.given(jwt.issuerUri()) && !TrustedKeys.given(jwt.jwkSetUri())) {
            problems.add(PREFIX + "jwt.issuer-uri, jwt.jwk-set-uri, jwt.public-key-file: missing (expected: one of them, because "
                    + "espalier.security.mode is jwt)");
        }
        for (String address : List.of(text(jwt.issuerUri()), text(jwt.jwkSetUri()))) {
            if (!address.isEmpty() && !isAddress(address)) {
                problems.add(PREFIX + "jwt.issuer-uri, jwt.jwk-set-uri: " + address
                        + " (expected: an https address; http only on this machine, because whoever can change the keys on the way can sign)");
            }
        }
    }

    private static void checkSignIn(SecuritySettings settings, List<String> problems) {
        SecuritySettings.Oidc oidc = settings.oidc();
        if (settings.mode() != SecuritySettings.Mode.JWT) {
            problems.add(PREFIX + "oidc.client-id: " + oidc.clientId() + " (expected: espalier.security.mode jwt with it, because in mode "
                    + settings.mode() + " no token of an issuer is taken; or none)");
        }
        if (!List.of(text(oidc.scopes()).split(" ")).contains("openid")) {
            problems.add(PREFIX + "oidc.scopes: " + oidc.scopes() + " (expected: scopes separated by spaces, openid among them)");
        }
        if (!TrustedKeys.given(settings.signInIssuer())) {
            problems.add(
                    PREFIX + "oidc.issuer-uri: missing (expected: the issuer that people sign in with, because jwt.issuer-uri is empty)");
        }
        if (TrustedKeys.given(oidc.authorizationUri()) != TrustedKeys.given(oidc.tokenUri())) {
            problems.add(PREFIX + "oidc.authorization-uri, oidc.token-uri: only one of them (expected: both, or none and the issuer says)");
        }
        for (String address : List.of(text(oidc.issuerUri()), text(oidc.authorizationUri()), text(oidc.tokenUri()),
                text(oidc.endSessionUri()))) {
            if (!address.isEmpty() && !isAddress(address)) {
                problems.add(PREFIX + "oidc.issuer-uri, oidc.authorization-uri, oidc.token-uri, oidc.end-session-uri: " + address
                        + " (expected: an https address; http only on this machine, because a token would be read on the way)");
            }
        }
        try {
            SignIn.parameters(oidc.parameters());
        } catch (IllegalArgumentException e) {
            problems.add(PREFIX + "oidc.parameters: " + e.getMessage());
        }
    }

    /** Whether what is sent there, and comes from there, is safe on the way. */
    static boolean isAddress(String text) {
        try {
            URI uri = URI.create(text);
            return uri.getHost() != null
                    && ("https".equals(uri.getScheme()) || "http".equals(uri.getScheme()) && isLoopback(uri.getHost()));
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private static boolean isLoopback(String address) {
        try {
            return !address.isBlank() && InetAddress.getByName(address).isLoopbackAddress();
        } catch (UnknownHostException e) {
            return false;
        }
    }

    private static String text(String setting) {
        return setting == null ? "" : setting.strip();
    }

    private static String words(IOException e) {
        return e instanceof java.nio.file.NoSuchFileException
                ? "no such file"
                : e instanceof java.nio.file.AccessDeniedException ? "this process may not read it" : e.getMessage();
    }
}

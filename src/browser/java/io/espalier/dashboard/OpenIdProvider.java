package io.espalier.dashboard;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jose.util.Base64URL;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;

/**
 * A small OpenID provider on this machine: discovery, a page to sign in, a token endpoint that holds a public client to PKCE with S256 and to its exact
 * redirect address, codes and refresh tokens that are good once, keys, and an end of the session. What it does wrong is set by the tests.
 */
final class OpenIdProvider {

    static final String CLIENT = "espalier-dashboard";
    static final String AUDIENCE = "https://espalier.example";

    /** What somebody signed in with, under the code or the refresh token that stands for it. */
    private record Grant(String user, Map<String, String> request) {}

    private final HttpServer server;
    private final RSAKey key;
    private final Map<String, Grant> codes = new ConcurrentHashMap<>();
    private final Map<String, Grant> refreshTokens = new ConcurrentHashMap<>();
    /** Addresses that it sends people back to. */
    final Set<String> redirects = ConcurrentHashMap.newKeySet();
    /** What was asked of the token endpoint: each grant type, with {@code refused} where nothing came of it. */
    final List<String> grants = new CopyOnWriteArrayList<>();
    /** The parameters with which people were sent to sign out. */
    final List<Map<String, String>> signedOut = new CopyOnWriteArrayList<>();

    volatile int seconds;
    volatile boolean refreshes;
    volatile boolean letsPagesAsk;
    volatile int status;
    volatile int clock;
    volatile String audience;
    volatile List<String> roles;
    volatile String nonce;
    volatile String state;

    OpenIdProvider() {
        try {
            key = new RSAKeyGenerator(2048).keyID("k").generate();
            server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        } catch (IOException | JOSEException e) {
            throw new IllegalStateException(e);
        }
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/.well-known/openid-configuration", exchange -> answer(exchange, 200, "application/json", """
                {"issuer": "$", "jwks_uri": "$/keys", "authorization_endpoint": "$/authorize?tenant=ml", "token_endpoint": "$/token",
                 "end_session_endpoint": "$/logout", "code_challenge_methods_supported": ["S256"]}""".replace("$", uri())));
        server.createContext("/keys", exchange -> answer(exchange, 200, "application/json", new JWKSet(key.toPublicJWK()).toString()));
        server.createContext("/authorize", this::authorize);
        server.createContext("/token", this::token);
        server.createContext("/logout", this::logout);
        behave();
        server.start();
    }

    /** Everything as it should be. */
    void behave() {
        seconds = 600;
        refreshes = true;
        letsPagesAsk = true;
        status = 200;
        clock = 0;
        audience = AUDIENCE;
        roles = List.of("submitter");
        nonce = null;
        state = null;
        grants.clear();
        signedOut.clear();
        refreshTokens.clear();
    }

    /** No refresh token is good any more. */
    void endSessions() {
        refreshTokens.clear();
    }

    String uri() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    void stop() {
        server.stop(0);
    }

    private void authorize(HttpExchange exchange) throws IOException {
        Map<String, String> asked = parameters(exchange.getRequestURI().getRawQuery());
        boolean right = asked.getOrDefault("client_id", "").equals(CLIENT) && redirects.contains(asked.getOrDefault("redirect_uri", ""))
                && "code".equals(asked.get("response_type")) && "S256".equals(asked.get("code_challenge_method"))
                && "ml".equals(asked.get("tenant")) && List.of(asked.getOrDefault("scope", "").split(" ")).contains("openid")
                && asked.keySet().containsAll(Set.of("state", "nonce", "code_challenge"));
        if (!right) {
            answer(exchange, 400, "text/html", "<h1>This request is refused</h1>" + new TreeMap<>(asked));
        } else if (exchange.getRequestMethod().equals("GET")) {
            answer(exchange, 200, "text/html", """
                    <!doctype html><title>Log in</title><h1>Log in to Example</h1>
                    <form method="post"><label>User <input name="user"></label> <button name="do" value="yes">Log in</button>
                    <button name="do" value="no">Deny</button></form>""");
        } else {
            Map<String, String> said = parameters(new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
            Map<String, String> back = new HashMap<>(Map.of("state", state == null ? asked.get("state") : state, "iss", uri()));
            if (said.get("do").equals("yes")) {
                String code = UUID.randomUUID().toString();
                codes.put(code, new Grant(said.get("user"), asked));
                back.put("code", code);
            } else {
                back.put("error", "access_denied");
                back.put("error_description", "The user said <b>no</b>");
            }
            redirect(exchange, asked.get("redirect_uri"), back);
        }
    }

    private void token(HttpExchange exchange) throws IOException {
        Map<String, String> asked = parameters(new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
        if (letsPagesAsk) {
            exchange.getResponseHeaders().set("Access-Control-Allow-Origin", exchange.getRequestHeaders().getFirst("Origin"));
        }
        boolean renewal = "refresh_token".equals(asked.get("grant_type"));
        Grant grant = renewal
                ? refreshTokens.remove(asked.getOrDefault("refresh_token", ""))
                : codes.remove(asked.getOrDefault("code", ""));
        boolean right = grant != null && CLIENT.equals(asked.get("client_id"))
                && (renewal || grant.request.get("redirect_uri").equals(asked.get("redirect_uri"))
                        && grant.request.get("code_challenge").equals(challenge(asked.getOrDefault("code_verifier", ""))));
        grants.add(asked.get("grant_type") + (right && status == 200 ? "" : " refused"));
        if (status != 200) {
            answer(exchange, status, "text/plain", "away");
        } else if (right) {
            answer(exchange, 200, "application/json", tokens(grant));
        } else {
            answer(exchange, 400, "application/json", "{\"error\": \"invalid_grant\"}");
        }
    }

    private String tokens(Grant grant) {
        String refresh = UUID.randomUUID().toString();
        refreshTokens.put(refresh, grant);
        String access = signed(claims(grant.user).audience(audience).claim("roles", roles).claim("project", "ml"));
        String id = signed(claims(grant.user).audience(CLIENT).claim("nonce", nonce == null ? grant.request.get("nonce") : nonce)
                .claim("preferred_username", grant.user));
        return "{\"access_token\": \"" + access + "\", \"token_type\": \"Bearer\", \"expires_in\": " + seconds + ", \"id_token\": \"" + id
                + "\"" + (refreshes ? ", \"refresh_token\": \"" + refresh + "\"" : "") + "}";
    }

    private JWTClaimsSet.Builder claims(String user) {
        Instant now = Instant.now().plusSeconds(clock);
        return new JWTClaimsSet.Builder().issuer(uri()).subject(user).jwtID(UUID.randomUUID().toString()).issueTime(Date.from(now))
                .notBeforeTime(Date.from(now.minusSeconds(1))).expirationTime(Date.from(now.plusSeconds(seconds)));
    }

    private String signed(JWTClaimsSet.Builder claims) {
        try {
            SignedJWT token = new SignedJWT(new JWSHeader.Builder(JWSAlgorithm.RS256).keyID(key.getKeyID()).build(), claims.build());
            token.sign(new RSASSASigner(key));
            return token.serialize();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String challenge(String verifier) {
        try {
            return Base64URL.encode(MessageDigest.getInstance("SHA-256").digest(verifier.getBytes(StandardCharsets.US_ASCII))).toString();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private void logout(HttpExchange exchange) throws IOException {
        Map<String, String> asked = parameters(exchange.getRequestURI().getRawQuery());
        signedOut.add(asked);
        if (redirects.contains(asked.getOrDefault("post_logout_redirect_uri", ""))) {
            redirect(exchange, asked.get("post_logout_redirect_uri"), Map.of());
        } else {
            answer(exchange, 400, "text/html", "<h1>This request is refused</h1>");
        }
    }

    private static void redirect(HttpExchange exchange, String where, Map<String, String> parameters) throws IOException {
        String query = parameters.entrySet().stream()
                .map(each -> each.getKey() + "=" + URLEncoder.encode(each.getValue(), StandardCharsets.UTF_8))
                .collect(Collectors.joining("&"));
        exchange.getResponseHeaders().set("Location", where + (query.isEmpty() ? "" : "?" + query));
        exchange.sendResponseHeaders(303, -1);
        exchange.close();
    }

    private static void answer(HttpExchange exchange, int status, String type, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(status, bytes.length);
        try (OutputStream out = exchange.getResponseBody()) {
            out.write(bytes);
        }
    }

    private static Map<String, String> parameters(String query) {
        Map<String, String> parameters = new HashMap<>();
        for (String pair : (query == null ? "" : query).split("&")) {
            String[] parts = pair.split("=", 2);
            parameters.put(parts[0], parts.length < 2 ? "" : URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
        }
        return parameters;
    }
}

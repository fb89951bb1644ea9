package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.MACSigner;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.PlainJWT;
import com.nimbusds.jwt.SignedJWT;
import io.espalier.security.Role;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.jdbc.core.simple.JdbcClient;

/** Who is let in, and what they may do. */
@SecuredApiTest
@ExtendWith(OutputCaptureExtension.class)
class SecuredTest {

    private final Api stranger;
    private final Api first;
    private final JdbcClient jdbc;

    SecuredTest(@LocalServerPort int port, JdbcClient jdbc) {
        stranger = new Api(port);
        first = stranger.as(Issuer.ADMIN_KEY);
        this.jdbc = jdbc;
    }

    private static Api.Answer post(Api who, String path, String json) {
        return who.send("POST", path, json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json");
    }

    private String key(Api who, String name, String more) {
        Api.Answer answer = post(who, "/v1/api-keys", "{\"name\": \"" + name + "\"" + more + "}");
        assertThat(answer.status()).as(answer.text()).isEqualTo(201);
        return answer.json().path("token").stringValue();
    }

    // who asks

    @ParameterizedTest
    @ValueSource(strings = {"GET /v1/pruning-jobs", "POST /v1/pruning-jobs", "DELETE /v1/pruning-jobs/x", "GET /v1/api-keys",
            "GET /v1/nothing",
            "GET /actuator", "GET /actuator/metrics", "BREW /v1/methods", "OPTIONS /v1/models", "GET /%76%31/models",
            "GET /%61ctuator/metrics"})
    void whoeverBringsNothingIsAskedForAToken(String request) {
        Api.Answer answer = stranger.send(request.replaceAll(" .*", ""), request.replaceAll(".* ", ""), null);

        assertThat(answer.status()).isEqualTo(401);
        assertThat(answer.code()).isEqualTo("unauthenticated");
        assertThat(answer.header("WWW-Authenticate")).isEqualTo("Bearer realm=\"espalier\"");
    }

    @ParameterizedTest
    @ValueSource(strings = {"/livez", "/readyz", "/actuator/health", "/openapi.yaml"})
    void healthAndTheContractAreForEverybodyWhateverTheyBring(String path) {
        assertThat(stranger.get(path).status()).isEqualTo(200);
        assertThat(stranger.as("esp_nonsense").get(path).status()).isEqualTo(200);
    }

    @Test
    void anAddressThatIsNoOperationTellsAStrangerOnlyThatItIsNone() {
        assertThat(stranger.get("/index.htm").code()).isEqualTo("not_found");
        assertThat(stranger.get("/dashboard/nothing.js").code()).isEqualTo("not_found");
        assertThat(stranger.get("/application.yml").code()).isEqualTo("not_found");
    }

    @ParameterizedTest
    @ValueSource(strings = {"Basic YWRtaW46YWRtaW4=", "Bearer", "bearer", "Token x", "Bearer a b", "Bearer ü"})
    void anotherKindOfHeaderIsNoToken(String header) {
        Api.Answer answer = stranger.get("/v1/models", "Authorization", header);

        assertThat(answer.code()).isEqualTo("unauthenticated");
        assertThat(answer.header("WWW-Authenticate")).startsWith("Bearer realm=\"espalier\"");
    }

    @Test
    void aTokenInTheAddressIsNotLookedAt() {
        assertThat(stranger.get("/v1/models?access_token=" + Issuer.ADMIN_KEY).status()).isEqualTo(401);
    }

    static Stream<Arguments> refused() throws JOSEException {
        RSAKey other = new RSAKeyGenerator(2048).keyID("rsa").generate();
        RSAKey unlisted = new RSAKeyGenerator(2048).keyID("unlisted").generate();
        Instant now = Instant.now();
        SignedJWT shared = new SignedJWT(new JWSHeader(JWSAlgorithm.HS256), Issuer.good().claim("roles", "admin").build());
        shared.sign(new MACSigner(Issuer.RSA.toRSAPublicKey().getEncoded()));
        String good = Issuer.token("s", "p", "viewer");
        return Stream.of(
                Arguments.of("expired",
                        Issuer.token(claims -> claims.claim("roles", "admin").expirationTime(Date.from(now.minusSeconds(60))))),
                Arguments.of("without an end", Issuer.token(claims -> claims.claim("roles", "admin").expirationTime(null))),
                Arguments.of("not yet good",
                        Issuer.token(claims -> claims.claim("roles", "admin").notBeforeTime(Date.from(now.plusSeconds(120))))),
                Arguments.of("for another service",
                        Issuer.token(claims -> claims.claim("roles", "admin").audience("https://other.example"))),
                Arguments.of("for nobody", Issuer.token(claims -> claims.claim("roles", "admin").audience((String) null))),
                Arguments.of("of another issuer", Issuer.token(claims -> claims.claim("roles", "admin").issuer("https://other.example"))),
                Arguments.of("by another key of the same name", Issuer.signed(other, Issuer.good().claim("roles", "admin").build())),
                Arguments.of("by a key nobody lists", Issuer.signed(unlisted, Issuer.good().claim("roles", "admin").build())),
                Arguments.of("unsigned", new PlainJWT(Issuer.good().claim("roles", "admin").build()).serialize()),
                Arguments.of("signed by the public key as a secret", shared.serialize()),
                Arguments.of("cut short", good.substring(0, good.length() - 5)),
                Arguments.of("with another body", good.replaceFirst("\\.[^.]*\\.", "." + com.nimbusds.jose.util.Base64URL
                        .encode(Issuer.good().claim("roles", "admin").build().toString()) + ".")),
                Arguments.of("no token at all", "nonsense"), Arguments.of("dots", "..."), Arguments.of("an empty key", "esp_"),
                Arguments.of("half of the first key", Issuer.ADMIN_KEY.substring(1)));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("refused")
    void aTokenThatNobodyVouchesForIsRefused(String what, String token) {
        Api.Answer answer = stranger.as(token).get("/v1/models");

        assertThat(answer.status()).isEqualTo(401);
        assertThat(answer.code()).isEqualTo("unauthenticated");
        assertThat(answer.header("WWW-Authenticate"))
                .startsWith("Bearer realm=\"espalier\", error=\"invalid_token\", error_description=\"");
        assertThat(answer.text()).doesNotContain(token.length() > 10 ? token : "\u0000");
    }

    @Test
    void tokensOfBothAlgorithmsAreTakenAndTheKeysAreNotFetchedEachTime() {
        String ec = Issuer.signed(Issuer.EC, Issuer.good().subject("e").claim("project", "p").claim("roles", "viewer other").build());
        assertThat(stranger.as(ec).get("/v1/models").status()).isEqualTo(200);
        int asked = Issuer.asked();

        for (int i = 0; i < 20; i++) {
            assertThat(stranger.as(Issuer.token("r", "p", "viewer")).get("/v1/models").status()).isEqualTo(200);
        }
        assertThat(Issuer.asked() - asked).isLessThanOrEqualTo(1);
    }

    @Test
    void keysThatNobodyListsDoNotMakeUsAskTheIssuerAllTheTime() throws JOSEException {
        assertThat(stranger.as(Issuer.token("r", "p", "viewer")).get("/v1/models").status()).isEqualTo(200);
        int asked = Issuer.asked();
        for (int i = 0; i < 10; i++) {
            RSAKey unlisted = new RSAKeyGenerator(2048).keyID("unlisted" + i).generate();
            assertThat(stranger.as(Issuer.signed(unlisted, Issuer.good().build())).get("/v1/models").status()).isEqualTo(401);
        }
        assertThat(Issuer.asked() - asked).isLessThanOrEqualTo(3);
    }

    static Stream<Arguments> powerless() {
        return Stream.of(Arguments.of(Issuer.token(claims -> claims.claim("project", "p")), "roles"),
                Arguments.of(Issuer.token("s", "p", "owner"), "roles"), Arguments.of(Issuer.token("s", "p"), "roles"),
                Arguments.of(Issuer.token(claims -> claims.claim("roles", "submitter")), "project"),
                Arguments.of(Issuer.token("s", "../etc", "admin"), "project"),
                Arguments.of(Issuer.token(claims -> claims.claim("roles", "viewer").claim("project", List.of("p"))), "project"));
    }

    @ParameterizedTest
    @MethodSource("powerless")
    void aGenuineTokenThatSaysTooLittleIsForbiddenAndToldWhat(String token, String claim) {
        Api.Answer answer = stranger.as(token).get("/v1/models");

        assertThat(answer.status()).isEqualTo(403);
        assertThat(answer.json().path("detail").stringValue()).contains("the claim " + claim);
    }

    // what they may do

    @ParameterizedTest
    @ValueSource(strings = {"viewer", "submitter", "admin"})
    void everyOperationIsOpenToItsRoleAndThoseAboveItAndToNobodyElse(String word) {
        Role role = Role.of(word).orElseThrow();
        Api caller = stranger.as(Issuer.token("s", "roles", word));
        for (String operation : Permissions.operations()) {
            String method = operation.replaceAll(" .*", "");
            String path = operation.replaceAll(".* ", "").replaceAll("\\{[a-z]+}", "none");
            Api.Answer answer = caller.send(method, path, method.matches("POST|PUT|PATCH") ? new byte[]{'{'} : null, "Content-Type",
                    Contract.IT.bodyType(operation));
            if (Permissions.isPublic(operation) || role.covers(Permissions.needed(operation))) {
                assertThat(answer.header("WWW-Authenticate")).as(operation).isNull();
                boolean ofAllProjects = operation.equals("GET /v1/support-bundle");
                assertThat(answer.status() == 403).as(operation).isEqualTo(ofAllProjects);
            } else {
                assertThat(answer.status()).as(operation).isEqualTo(403);
                assertThat(answer.json().path("detail").stringValue()).contains("needs the role " + Permissions.needed(operation).json());
                assertThat(answer.header("WWW-Authenticate")).contains("error=\"insufficient_scope\"");
            }
        }
    }

    @Test
    void whatTellsOfTheWholeProcessIsForThoseWhoSeeEveryProject() {
        assertThat(stranger.as(Issuer.token("s", "p", "admin")).get("/actuator").status()).isEqualTo(403);
        assertThat(stranger.as(key(first, "scraper", ", \"role\": \"viewer\"")).get("/actuator").status()).isEqualTo(200);
    }

    @Test
    void anOrderIsOfTheCallersProjectWhetherItSaysSoOrNot() {
        Api caller = stranger.as(Issuer.token("s", "mine", "submitter"));

        assertThat(caller.order(Posted.SHORTEST).json().at("/recipe/project").stringValue()).isEqualTo("mine");
        assertThat(caller.order(Posted.SHORTEST.replaceFirst("\\{", "{\"project\": \"mine\", ")).status()).isEqualTo(202);
        Api.Answer other = caller.order(Posted.SHORTEST.replaceFirst("\\{", "{\"project\": \"default\", "));
        assertThat(other.status()).isEqualTo(422);
        assertThat(other.violations()).containsOnlyKeys("project");
        assertThat(first.order(Posted.SHORTEST.replaceFirst("\\{", "{\"project\": \"any\", ")).json().at("/recipe/project").stringValue())
                .isEqualTo("any");
    }

    // keys

    @Test
    void aKeyIsShownOnceWorksAndIsRevokedAtOnce() {
        Api.Answer made = post(first, "/v1/api-keys", "{\"name\": \"nightly\", \"project\": \"keys\", \"role\": \"submitter\"}");
        String token = made.json().path("token").stringValue();
        String id = made.json().path("id").stringValue();
        Api holder = stranger.as(token);

        assertThat(made.header("Location")).isEqualTo("/v1/api-keys/" + id);
        assertThat(made.json().path("last_used_at").isNull()).isTrue();
        assertThat(holder.order(Posted.SHORTEST).json().at("/recipe/project").stringValue()).isEqualTo("keys");
        assertThat(holder.get("/v1/api-keys").status()).isEqualTo(403);
        assertThat(first.get("/v1/api-keys").text()).contains(id).doesNotContain(token, token.substring(31));
        assertThat(first.get("/v1/api-keys/" + id).json().path("last_used_at").stringValue()).endsWith(":00:00Z");
        assertThat(first.send("DELETE", "/v1/api-keys/" + id, null).status()).isEqualTo(204);
        assertThat(holder.get("/v1/models").status()).isEqualTo(401);
        assertThat(first.send("DELETE", "/v1/api-keys/" + id, null).code()).isEqualTo("api_key_not_found");
        assertThat(first.get("/v1/api-keys/" + id).code()).isEqualTo("api_key_not_found");
    }

    @Test
    void aStreamOfARevokedKeyEnds() throws Exception {
        String token = key(first, "watching", ", \"role\": \"submitter\", \"project\": \"streams\"");
        String job = stranger.as(token).ordered(Posted.SHORTEST);
        HttpRequest request = HttpRequest
                .newBuilder(URI.create("http://127.0.0.1:" + stranger.port() + "/v1/pruning-jobs/" + job + "/events"))
                .header("Authorization", "Bearer " + token).header("Accept", "text/event-stream").build();
        try (InputStream stream = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofInputStream()).body()) {
            assertThat(stream.read()).isEqualTo('r');
            assertThat(first.send("DELETE", "/v1/api-keys/key_" + token.substring(4, 30), null).status()).isEqualTo(204);

            String rest = new String(stream.readAllBytes(), StandardCharsets.UTF_8);
            assertThat(rest).as("the job goes on, the stream does not").contains("event: queued").doesNotContain("event: end");
        }
    }

    @Test
    void aKeyIsUsedWithoutAWriteButForTheFirstTimeInAnHour() {
        String token = key(first, "busy", ", \"role\": \"viewer\"");
        String id = "key_" + token.substring(4, 30);
        stranger.as(token).get("/v1/models");
        String version = version(id);
        for (int i = 0; i < 5; i++) {
            stranger.as(token).get("/v1/models");
        }
        Timestamp used = jdbc.sql("select last_used_at from api_key where id = :id").param("id", id).query(Timestamp.class).single();
        // why: in the first moment of an hour it is written once more
        assertThat(version(id).equals(version) || used.toInstant().isAfter(Instant.now().minusSeconds(60))).isTrue();
    }

    private String version(String id) {
        return jdbc.sql("select xmin::text from api_key where id = :id").param("id", id).query(String.class).single();
    }

    @Test
    void aKeyExpires() {
        String token = key(first, "brief", ", \"role\": \"viewer\", \"expires_at\": \"" + Instant.now().plusSeconds(3600) + "\"");
        assertThat(stranger.as(token).get("/v1/models").status()).isEqualTo(200);

        jdbc.sql("update api_key set expires_at = now() where id = :id").param("id", "key_" + token.substring(4, 30)).update();

        Api.Answer answer = stranger.as(token).get("/v1/models");
        assertThat(answer.status()).isEqualTo(401);
        assertThat(answer.json().path("detail").stringValue()).contains("expired");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{}", "{\"name\": \"\", \"role\": \"viewer\"}", "{\"name\": \"x\", \"role\": \"root\"}",
            "{\"name\": \"x\", \"role\": \"viewer\", \"project\": \"../p\"}",
            "{\"name\": \"x\", \"role\": \"viewer\", \"expires_at\": \"soon\"}",
            "{\"name\": \"x\", \"role\": \"viewer\", \"expires_at\": \"2001-01-01T00:00:00Z\"}",
            "{\"name\": \"x\", \"role\": \"viewer\", \"expires_at\": \"+300000-01-01T00:00:00Z\"}",
            "{\"name\": \"x\", \"role\": \"viewer\", \"expires_at\": \"+999999999-12-31T23:59:59Z\"}",
            "{\"name\": \"a\\u0000b\", \"role\": \"viewer\"}",
            "{\"name\": \"x\", \"role\": \"viewer\", \"more\": 1}", "[]", "7", "null", "{\"name\": {}, \"role\": []}"})
    void aKeyThatCannotBeIsRefusedWithEverythingThatIsWrong(String json) {
        Api.Answer answer = post(first, "/v1/api-keys", json);

        assertThat(answer.status()).as(answer.text()).isEqualTo(400);
        assertThat(answer.json().path("violations")).isNotEmpty();
    }

    @Test
    void anAdministratorOfOneProjectGivesOutKeysOfThatProjectOnly() {
        Api admin = stranger.as(Issuer.token("a", "walled", "admin"));

        String own = key(admin, "own", ", \"role\": \"admin\"");
        assertThat(admin.get("/v1/api-keys/key_" + own.substring(4, 30)).json().path("project").stringValue()).isEqualTo("walled");
        assertThat(post(admin, "/v1/api-keys", "{\"name\": \"x\", \"role\": \"viewer\", \"project\": \"other\"}").violations())
                .containsOnlyKeys("project");
    }

    /** Every key and token that was sent is looked for, whole and in its telling parts, in every table and in the log. */
    @Test
    void noSecretIsInARowInTheLogOrInAnError(CapturedOutput output) {
        String token = key(first, "secretive", ", \"role\": \"viewer\"");
        String jwt = Issuer.token("s", "p", "viewer");
        String wrong = token.substring(0, 40) + "xxxxxxxx" + token.substring(48);
        StringBuilder errors = new StringBuilder();
        for (String sent : List.of(token, jwt, wrong, Issuer.ADMIN_KEY, Issuer.ADMIN_KEY + "x")) {
            for (String path : List.of("/v1/models", "/v1/models/none", "/v1/nothing", "/v1/api-keys", "/v1/pruning-jobs?limit=x")) {
                errors.append(stranger.as(sent).get(path).text());
            }
        }
        for (String secret : List.of(token.substring(31), wrong.substring(31), jwt.substring(jwt.lastIndexOf('.')),
                Issuer.ADMIN_KEY.substring(6))) {
            assertThat(errors.toString()).doesNotContain(secret);
            assertThat(output.getAll()).doesNotContain(secret);
            List<String> tables = jdbc.sql("select table_name from information_schema.tables where table_schema = 'public'")
                    .query(String.class).list();
            assertThat(tables).contains("api_key", "job_event", "pruning_job");
            for (String table : tables) {
                assertThat(jdbc.sql("select count(*) from " + table + " t where strpos(t::text, :secret) > 0").param("secret", secret)
                        .query(Integer.class).single()).as(table).isZero();
            }
        }
        assertThat(output.getAll()).as("the making of a key is told").contains("made the API key key_" + token.substring(4, 30));
    }

    // around every answer

    @Test
    void browsersAreToldWhatToObey() {
        for (Api.Answer answer : List.of(first.get("/v1/models"), stranger.get("/v1/models"), first.get("/v1/models/none"))) {
            assertThat(answer.header("X-Content-Type-Options")).isEqualTo("nosniff");
            assertThat(answer.header("Content-Security-Policy")).isEqualTo("default-src 'none'; frame-ancestors 'none'");
            assertThat(answer.header("Cache-Control")).contains("no-store");
        }
        assertThat(stranger.get("/dashboard/main.js").header("Content-Security-Policy")).contains("connect-src 'self';");
    }

    @Test
    void aPageMayAskForTokensWhereTheIssuerGivesThemAndNowhereElse() {
        for (String path : List.of("/", "/index.html")) {
            Api.Answer page = stranger.get(path);
            assertThat(page.header("Content-Security-Policy")).isEqualTo("default-src 'none'; script-src 'self'; style-src 'self'; "
                    + "img-src 'self' data:; connect-src 'self' https://token.example; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
            assertThat(page.text()).contains("connect-src 'self' https://token.example; base-uri");
            assertThat(page.header("ETag")).isNotEmpty();
            assertThat(page.header("Cache-Control")).isEqualTo("no-cache");
            assertThat(page.header("Last-Modified")).as("it may change without its file").isNull();
        }
    }

    @Test
    void aStrangerIsToldHowToSignIn() {
        for (Api who : List.of(stranger, stranger.as("esp_nonsense"), first)) {
            Api.Answer answer = who.get("/v1/sign-in");
            assertThat(answer.status()).isEqualTo(200);
            assertThat(answer.json().path("mode").stringValue()).isEqualTo("jwt");
            assertThat(answer.json().at("/provider/client_id").stringValue()).isEqualTo(Issuer.CLIENT);
            assertThat(answer.json().at("/provider/authorization_endpoint").stringValue()).isEqualTo(Issuer.uri() + "/authorize");
            assertThat(answer.json().at("/provider/end_session_endpoint").isNull()).isTrue();
            assertThat(answer.json().path("trouble").isNull()).isTrue();
        }
        assertThat(stranger.get("/v1/sign-in/x").status()).as("beside it, a token is needed").isEqualTo(401);
        assertThat(stranger.post("/v1/sign-in").code()).isEqualTo("method_not_allowed");
    }

    @Test
    void onlyPagesOfAnAllowedOriginMayUseTheApiFromABrowser() {
        Map<String, String> expected = Map.of("https://dashboard.example", "https://dashboard.example", "https://evil.example", "none",
                "null", "none");
        expected.forEach((origin, allowed) -> {
            Api.Answer answer = first.get("/v1/models", "Origin", origin);
            assertThat(String.valueOf(answer.headers().firstValue("Access-Control-Allow-Origin").orElse("none"))).isEqualTo(allowed);
            assertThat(answer.header("Access-Control-Allow-Credentials")).isNull();
        });
    }
}

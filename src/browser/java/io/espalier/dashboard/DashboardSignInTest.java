package io.espalier.dashboard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.regex.Pattern;

import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.assertions.LocatorAssertions;
import com.microsoft.playwright.assertions.PlaywrightAssertions;
import com.microsoft.playwright.options.AriaRole;
import io.espalier.EspalierApplication;
import io.espalier.TestDatabase;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.util.FileSystemUtils;

/** People who sign in with an OpenID provider, in a real browser on a service with security on. */
class DashboardSignInTest extends Visitor {

    private static final String ADMIN_KEY = "first-" + "0123456789abcdef".repeat(3);
    private static final String NO_JOB = "No job yet.";

    private static OpenIdProvider provider;
    private static Path data;
    private static ConfigurableApplicationContext service;

    @BeforeAll
    static void start() throws IOException {
        provider = new OpenIdProvider();
        data = Files.createTempDirectory("sign-in");
        Files.writeString(data.resolve("admin-key"), ADMIN_KEY);
        service = new SpringApplicationBuilder(EspalierApplication.class).run("--espalier.data-dir=" + data, "--server.port=0",
                "--espalier.worker.enabled=false", "--espalier.database.mode=external", "--spring.datasource.url=" + TestDatabase.fresh(),
                "--spring.datasource.username=postgres", "--spring.datasource.password=postgres", "--espalier.security.mode=jwt",
                "--espalier.security.admin-key-file=" + data.resolve("admin-key"), "--espalier.security.jwt.issuer-uri=" + provider.uri(),
                "--espalier.security.jwt.audience=" + OpenIdProvider.AUDIENCE, "--espalier.security.jwt.clock-skew=0s",
                "--espalier.security.oidc.client-id=" + OpenIdProvider.CLIENT, "--espalier.security.oidc.name=Example");
        provider.redirects.add(at() + "/");
    }

    @AfterAll
    static void stop() {
        if (service != null) {
            service.close();
            provider.stop();
        }
        FileSystemUtils.deleteRecursively(data == null ? null : data.toFile());
    }

    private static String at() {
        return "http://127.0.0.1:" + service.getEnvironment().getProperty("local.server.port");
    }

    @Override
    String address() {
        return at();
    }

    @BeforeEach
    void behave() {
        provider.behave();
    }

    private Locator dialog() {
        return page.getByRole(AriaRole.DIALOG);
    }

    /** From a page that asks who one is to the provider's. */
    private void goToProvider() {
        button("Sign in with Example").click();
        seen(heading("Log in to Example"));
    }

    private void logIn() {
        goToProvider();
        page.getByLabel("User").fill("Ada");
        button("Log in").click();
    }

    private String stored() {
        return String.valueOf(page.evaluate("JSON.stringify({...sessionStorage})"));
    }

    @Test
    void somebodySignsInAndIsBackWhereItBegan() {
        List<String> tokens = new CopyOnWriteArrayList<>();
        page.onRequest(request -> {
            if (request.url().contains("/v1/score-sets")) {
                tokens.add(String.valueOf(request.headers().get("authorization")));
            }
        });
        visit("#/scores");
        PlaywrightAssertions.assertThat(button("Sign in with Example"))
                .isFocused(new LocatorAssertions.IsFocusedOptions().setTimeout(PATIENCE));
        picture("sign-in-provider");
        accessible();
        logIn();
        seen(page.getByText("No scores yet."));
        assertThat(page.url()).as("no code is left in it").isEqualTo(address() + "/#/scores");
        assertThat(provider.grants).containsExactly("authorization_code");
        assertThat(tokens).first().isEqualTo("null");
        assertThat(tokens).last().asString().startsWith("Bearer ey");
        assertThat((String) page.evaluate("JSON.stringify({...localStorage}) + document.cookie")).doesNotContain("ey");
        button("Signed in").click();
        holds(dialog(), "Signed in as Ada with Example.");
        picture("signed-in");
        accessible();
        button("Cancel").click();
        page.reload();
        seen(page.getByText("No scores yet."));
        assertThat(provider.grants).as("a reload signs nobody in again").hasSize(1);
    }

    @Test
    void somebodyWhoIsTurnedDownIsToldAndMayUseAKey() {
        visit("#/jobs");
        goToProvider();
        button("Deny").click();
        holds(dialog(), "Example did not sign you in: access_denied (The user said <b>no</b>). Sign in again and agree");
        assertThat(page.url()).isEqualTo(address() + "/#/jobs");
        picture("sign-in-denied");
        accessible();
        field("Key or token").fill(ADMIN_KEY);
        button("Use it").click();
        seen(page.getByText(NO_JOB));
        assertThat(provider.grants).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"?code=stolen&state=guessed", "?code=stolen", "?error=access_denied&error_description=Call+this+number"})
    void anAnswerThatNobodyAskedForIsNotUsed(String answer) {
        visit(answer + "#/scores");
        holds(dialog(), "belongs to no sign-in of this tab");
        assertThat(dialog().textContent()).doesNotContain("Call this number");
        assertThat(page.url()).isEqualTo(address() + "/#/scores");
        assertThat(provider.grants).isEmpty();
        assertThat(stored()).doesNotContain("token");
    }

    @Test
    void anAnswerToAnotherQuestionIsNotUsed() {
        provider.state = "another";
        visit("#/jobs");
        logIn();
        holds(dialog(), "belongs to no sign-in of this tab");
        assertThat(provider.grants).isEmpty();
        provider.behave();
        provider.nonce = "another";
        logIn();
        holds(dialog(), "sent an ID token that is not for this sign-in");
        assertThat(stored()).doesNotContain("token");
        provider.behave();
        logIn();
        seen(page.getByText(NO_JOB));
    }

    @Test
    void aTokenIsRenewedBeforeItEndsAndNobodyNotices() {
        provider.seconds = 4;
        visit("#/jobs");
        logIn();
        seen(page.getByText(NO_JOB));
        List<Integer> refused = new CopyOnWriteArrayList<>();
        page.onResponse(answer -> {
            if (answer.url().contains("/v1/") && answer.status() >= 400) {
                refused.add(answer.status());
            }
        });
        page.waitForCondition(() -> provider.grants.size() >= 4, new Page.WaitForConditionOptions().setTimeout(PATIENCE));
        seen(page.getByText(NO_JOB));
        assertThat(provider.grants).startsWith("authorization_code", "refresh_token", "refresh_token")
                .doesNotContain("refresh_token refused");
        assertThat(dialog().isVisible()).isFalse();
        assertThat(refused).as("a token may end under way, and is renewed then").doesNotContain(403, 500);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whoseSignInEndsIsAskedAndComesBackToTheSamePage(boolean refreshes) {
        provider.refreshes = refreshes;
        provider.seconds = 4;
        visit("#/jobs?state=failed");
        logIn();
        seen(page.getByText("No job is failed."));
        provider.endSessions();
        holds(dialog(), "Your sign-in has ended. Sign in again; you come back to this page.");
        provider.seconds = 600;
        logIn();
        seen(page.getByText("No job is failed."));
        assertThat(page.url()).isEqualTo(address() + "/#/jobs?state=failed");
    }

    @Test
    void aProviderThatIsAwayForAWhileEndsNothing() {
        provider.seconds = 6;
        visit("#/jobs");
        logIn();
        seen(page.getByText(NO_JOB));
        provider.status = 503;
        holds(page.getByRole(AriaRole.ALERT), "Example has trouble of its own (HTTP 503)");
        seen(page.getByText(NO_JOB));
        assertThat(dialog().isVisible()).isFalse();
        provider.endSessions();
        provider.status = 200;
        holds(dialog(), "Your sign-in has ended");
    }

    @Test
    void aProviderThatCannotBeAskedLeavesTheKey() {
        page.route("**/v1/sign-in", route -> route.fulfill(
                json("""
                        {"mode": "jwt", "provider": null, "trouble": "the issuer https://login.example does not say how to sign in: no such host"}""")));
        visit("#/jobs");
        holds(dialog(),
                "The issuer https://login.example does not say how to sign in: no such host. Until it can be asked again, a key or token");
        assertThat(button("Sign in with Example").isVisible()).isFalse();
        picture("sign-in-away");
        accessible();
        field("Key or token").fill(ADMIN_KEY);
        button("Use it").click();
        seen(page.getByText(NO_JOB));
        page.unroute("**/v1/sign-in");
        button("Signed in").click();
        seen(button("Sign in with Example"));
    }

    @Test
    void whatKeepsTheTokenFromComingIsSaid() {
        provider.status = 503;
        visit("#/jobs");
        logIn();
        holds(dialog(), "Example has trouble of its own (HTTP 503). Try again in a moment.");
        provider.behave();
        provider.letsPagesAsk = false;
        logIn();
        holds(dialog(), "your administrator lets pages of " + address() + " ask there (CORS");
        assertThat(complaints).isNotEmpty().allSatisfy(complaint -> assertThat(complaint).contains("CORS policy"));
        complaints.clear();
        page.addInitScript("Object.defineProperty(crypto, 'subtle', { value: undefined })");
        visit("#/jobs");
        button("Sign in with Example").click();
        holds(dialog(), "Open the dashboard by its https address, or use a key or token.");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            https://other.example    | 0     | this service does not take its token | compares issuer and audience
            https://espalier.example | 3600  | this service does not take its token | clocks differ
            https://espalier.example | -3600 | this service does not take its token | clocks differ""")
    void aTokenThatTheServiceDoesNotTakeIsExplained(String audience, int clock, String what, String todo) {
        provider.audience = audience;
        provider.clock = clock;
        visit("#/jobs");
        logIn();
        holds(dialog(), what);
        holds(dialog(), todo);
        assertThat(provider.grants).as("renewed once at most").hasSizeLessThanOrEqualTo(2);
    }

    @Test
    void somebodyWithoutARoleIsToldWhoGivesOne() {
        provider.roles = List.of();
        visit("#/jobs");
        logIn();
        holds(page.locator("main"), "the token has no role");
        holds(page.locator("main"), "ask an administrator for another role");
    }

    @Test
    void somebodySignsOutHereAndThere() {
        visit("#/jobs");
        logIn();
        seen(page.getByText(NO_JOB));
        button("Signed in").click();
        button("Sign out").click();
        seen(button("Sign in with Example"));
        page.waitForURL(Pattern.compile(Pattern.quote(address() + "/")), new Page.WaitForURLOptions().setTimeout(PATIENCE));
        await().atMost(Duration.ofMinutes(1)).until(() -> provider.signedOut.size() == 1);
        assertThat(provider.signedOut.getFirst()).containsEntry("post_logout_redirect_uri", address() + "/")
                .containsEntry("client_id", OpenIdProvider.CLIENT).containsKey("id_token_hint");
        assertThat(stored()).doesNotContain("token");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            401 | Sign in with a key or token that is valid here.
            403 | ask an administrator for another role
            404 | It may have been deleted, or belong to another project.
            429 | this page waits as long as it was told to
            503 | This page tries again by itself.""")
    void everyPageSaysWhatToDoWhenTheServiceRefuses(int status, String todo) {
        page.route(Pattern.compile("/v1/(?!sign-in)"), route -> route.fulfill(refusal(status, "refused for a test")
                .setHeaders(Map.of("Retry-After", "600", "Content-Type", "application/problem+json"))));
        visit("livez");
        page.evaluate("sessionStorage.setItem('espalier-token', 'esp_whatever')");
        page.navigate(address() + "/#/jobs");
        for (String where : List.of("#/jobs", "#/jobs/job_x", "#/scores", "#/scores/scr_x", "#/compare?job=job_x", "#/order")) {
            page.evaluate("where => { location.hash = where; }", where);
            holds(page.locator("main"), "refused for a test");
            holds(page.locator("main"), todo);
        }
        picture("order-" + status);
    }

    @Test
    void itWorksUnderAnotherHostAndAPath() throws IOException {
        try (PathProxy proxy = new PathProxy(address())) {
            provider.redirects.add(proxy.address() + "/");
            page.navigate(proxy.address() + "/index.html#/scores");
            logIn();
            seen(page.getByText("No scores yet."));
            assertThat(page.url()).isEqualTo(proxy.address() + "/#/scores");
            context.close();
        }
    }
}

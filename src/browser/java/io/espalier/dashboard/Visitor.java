package io.espalier.dashboard;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.deque.html.axecore.playwright.AxeBuilder;
import com.deque.html.axecore.results.Rule;
import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Route;
import com.microsoft.playwright.assertions.LocatorAssertions;
import com.microsoft.playwright.options.AriaRole;
import com.microsoft.playwright.options.ColorScheme;
import io.espalier.plan.KeepPlan;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Somebody with a browser. Whatever the browser itself complains of fails the test: a script's error, a rejected promise, and everything that the pages'
 * Content-Security-Policy forbids.
 */
abstract class Visitor {

    /** Milliseconds; a machine that is busy with other tests takes its time. */
    static final double PATIENCE = 60_000;

    @RegisterExtension
    static final Chromium CHROMIUM = new Chromium();

    BrowserContext context;
    Page page;
    final List<String> complaints = new CopyOnWriteArrayList<>();

    @BeforeEach
    void open() {
        context = CHROMIUM.browser()
                .newContext(new Browser.NewContextOptions().setViewportSize(1280, 900).setColorScheme(ColorScheme.LIGHT));
        context.setDefaultTimeout(PATIENCE);
        page = context.newPage();
        page.addInitScript(
                "addEventListener('securitypolicyviolation', e => console.error('forbidden by the policy: ' + e.violatedDirective"
                        + " + ' ' + e.blockedURI)); addEventListener('unhandledrejection', e => console.error('nobody caught ' + e.reason))");
        page.onPageError(complaints::add);
        page.onConsoleMessage(message -> {
            if (message.type().equals("error") && !message.text().startsWith("Failed to load resource")) {
                complaints.add(message.text());
            }
        });
    }

    @AfterEach
    void close() {
        if (context != null) {
            context.close();
        }
        assertThat(complaints).as("what the browser complained of").isEmpty();
    }

    /** Of the service that is visited. */
    String address() {
        return CHROMIUM.address();
    }

    void visit(String where) {
        page.navigate("about:blank");
        page.navigate(address() + "/" + where);
    }

    Locator heading(String name) {
        return page.getByRole(AriaRole.HEADING, named(name));
    }

    static Page.GetByRoleOptions named(String name) {
        return new Page.GetByRoleOptions().setName(name).setExact(true);
    }

    Locator button(String name) {
        return page.getByRole(AriaRole.BUTTON, named(name));
    }

    Locator field(String name) {
        return page.getByLabel(name, new Page.GetByLabelOptions().setExact(true));
    }

    Locator figure(String name) {
        return page.locator("dl.figure")
                .filter(new Locator.FilterOptions().setHas(page.getByText(name, new Page.GetByTextOptions().setExact(true)))).locator("dd");
    }

    static void seen(Locator what) {
        assertThat(what.first()).isVisible(new LocatorAssertions.IsVisibleOptions().setTimeout(PATIENCE));
    }

    static void reads(Locator what, String text) {
        assertThat(what).hasText(text, new LocatorAssertions.HasTextOptions().setTimeout(PATIENCE));
    }

    static void reads(Locator what, Pattern text) {
        assertThat(what).hasText(text, new LocatorAssertions.HasTextOptions().setTimeout(PATIENCE));
    }

    static void holds(Locator what, String text) {
        assertThat(what).containsText(text, new LocatorAssertions.ContainsTextOptions().setTimeout(PATIENCE));
    }

    static void counts(Locator what, int many) {
        assertThat(what).hasCount(many, new LocatorAssertions.HasCountOptions().setTimeout(PATIENCE));
    }

    void picture(String name) {
        page.screenshot(new Page.ScreenshotOptions().setPath(Chromium.PICTURES.resolve(name + ".png")).setFullPage(true));
    }

    /** Nothing that axe calls serious or critical, in light and in dark. */
    void accessible() {
        for (String theme : List.of("dark", "light")) {
            page.evaluate("theme => document.documentElement.dataset.theme = theme", theme);
            List<Rule> violations = new AxeBuilder(page).analyze().getViolations();
            assertThat(violations.stream().filter(rule -> List.of("serious", "critical").contains(rule.getImpact()))
                    .map(rule -> rule.getId() + ": " + rule.getNodes())).as("%s, %s", page.url(), theme).isEmpty();
        }
    }

    static Route.FulfillOptions json(String body) {
        return new Route.FulfillOptions().setStatus(200).setContentType("application/json").setBody(body);
    }

    static Route.FulfillOptions refusal(int status, String detail) {
        return new Route.FulfillOptions().setStatus(status).setContentType("application/problem+json")
                .setBody("{\"title\": \"Refused\", \"status\": %d, \"detail\": \"%s\", \"code\": \"refused\"}".formatted(status, detail));
    }

    static HttpResponse<String> send(HttpRequest.Builder request) {
        try {
            return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
        } catch (IOException | InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    static HttpRequest.Builder to(String path) {
        return HttpRequest.newBuilder(URI.create(CHROMIUM.address() + path));
    }

    /** @return the id of a job that needs no token and has succeeded */
    static String done() {
        return done("""
                {"model": "tiny-qwen2moe", "method": "magnitude", "budget": {"ratio": 0.25},
                 "protections": {"min_width": 8, "layers": [1]}}""");
    }

    /** @return the id of the job that an order came to, which has succeeded */
    static String done(String order) {
        String body = send(
                to("/v1/pruning-jobs").header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString(order)))
                .body();
        String id = idIn(body);
        await().atMost(Duration.ofMinutes(2)).until(() -> send(to("/v1/pruning-jobs/" + id)).body().contains("\"state\":\"succeeded\""));
        return id;
    }

    static String overlap(Set<String> one, Set<String> other) {
        Set<String> both = new HashSet<>(one);
        both.retainAll(other);
        return String.format(Locale.ROOT, "%.1f %%", 100.0 * both.size() / (one.size() + other.size() - both.size()));
    }

    /** Every atom that stays, as layer, expert and atom. */
    static Set<String> plan(String job) {
        Matcher artifact = Pattern.compile("\"artifact\":\\{\"id\":\"([^\"]+)\"").matcher(send(to("/v1/pruning-jobs/" + job)).body());
        assertThat(artifact.find()).isTrue();
        Set<String> kept = new HashSet<>();
        KeepPlan.fromJson(send(to("/v1/artifacts/" + artifact.group(1) + "/files/pruning-plan.json")).body()).experts()
                .forEach(expert -> Arrays.stream(expert.kept())
                        .forEach(atom -> kept.add(expert.layer() + "." + expert.expert() + "." + atom)));
        return kept;
    }

    static String idIn(String body) {
        java.util.regex.Matcher found = Pattern.compile("job_[0-9A-Za-z]+").matcher(body);
        assertThat(found.find()).as(body).isTrue();
        return found.group();
    }
}

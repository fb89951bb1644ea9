package io.espalier.dashboard;

import static com.microsoft.playwright.assertions.PlaywrightAssertions.assertThat;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

import com.deque.html.axecore.playwright.AxeBuilder;
import com.deque.html.axecore.results.Rule;
import com.microsoft.playwright.Browser;
import com.microsoft.playwright.BrowserContext;
import com.microsoft.playwright.BrowserType;
import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.Playwright;
import com.microsoft.playwright.assertions.LocatorAssertions;
import com.microsoft.playwright.options.AriaRole;
import com.microsoft.playwright.options.ColorScheme;
import io.espalier.EspalierApplication;
import io.espalier.TestDatabase;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;

/** The dashboard in a real browser, on the real service with its worker. Pictures of every page go into {@code target/dashboard}. */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class DashboardTest {

    private static final List<Path> BROWSERS = List.of(Path.of("/usr/bin/chromium"), Path.of("/usr/bin/chromium-browser"),
            Path.of("/usr/bin/google-chrome"));
    private static final Path PICTURES = Path.of("target/dashboard");
    private static final double PATIENCE = 120_000;
    private static final LocatorAssertions.IsVisibleOptions VISIBLE = new LocatorAssertions.IsVisibleOptions().setTimeout(PATIENCE);

    @TempDir
    private static Path temp;

    private static ConfigurableApplicationContext service;
    private static String address;
    private static Playwright playwright;
    private static Browser browser;

    private BrowserContext context;
    private Page page;
    private final List<String> complaints = new ArrayList<>();

    @BeforeAll
    static void start() throws IOException {
        Path chromium = BROWSERS.stream().filter(Files::isExecutable).findFirst().orElse(null);
        assumeTrue(chromium != null, "no Chromium in " + BROWSERS + ": the dashboard is not tested (apt-get install chromium)");
        service = new SpringApplicationBuilder(EspalierApplication.class).run("--espalier.data-dir=" + temp, "--server.port=0",
                "--espalier.database.mode=external", "--spring.datasource.url=" + TestDatabase.fresh(),
                "--spring.datasource.username=postgres", "--spring.datasource.password=postgres", "--espalier.worker.devices=cpu");
        address = "http://127.0.0.1:" + service.getEnvironment().getProperty("local.server.port");
        playwright = Playwright.create(new Playwright.CreateOptions().setEnv(java.util.Map.of("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")));
        browser = playwright.chromium().launch(new BrowserType.LaunchOptions().setExecutablePath(chromium)
                .setArgs(List.of("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")));
        Files.createDirectories(PICTURES);
    }

    @AfterAll
    static void stop() {
        if (browser != null) {
            browser.close();
            playwright.close();
        }
        if (service != null) {
            service.close();
        }
    }

    @BeforeEach
    void open() {
        context = browser.newContext(new Browser.NewContextOptions().setViewportSize(1280, 900).setColorScheme(ColorScheme.LIGHT));
        context.setDefaultTimeout(PATIENCE);
        page = context.newPage();
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

    @Test
    @Order(1)
    void anEmptyListSaysWhatToDo() {
        visit("#/jobs");
        assertThat(page.getByText("No job yet.")).isVisible(VISIBLE);
        visit("#/scores");
        assertThat(page.getByText("No scores yet.")).isVisible(VISIBLE);
        visit("#/compare");
        assertThat(page.getByText("No run has succeeded yet")).isVisible(VISIBLE);
        picture("empty");
    }

    @Test
    @Order(2)
    void aJobIsOrderedInTheFormAndFollowedToItsEnd() {
        visit("#/order");
        page.getByLabel("Sequences", exactly()).fill("8");
        page.getByLabel("Tokens a sequence").fill("64");
        page.getByLabel("Calibrate on").selectOption("kjv-train");
        page.getByLabel("Measure on").selectOption("kjv-test");
        picture("order");
        accessible();
        button("Order").click();
        assertThat(page.locator("h1 .state")).isVisible(VISIBLE);
        assertThat(page.locator(".log")).containsText("Phase calibrate", new LocatorAssertions.ContainsTextOptions().setTimeout(PATIENCE));
        assertThat(page.locator("h1 .state")).hasText("succeeded", new LocatorAssertions.HasTextOptions().setTimeout(PATIENCE));
        assertThat(figure("Perplexity")).containsText("→", new LocatorAssertions.ContainsTextOptions().setTimeout(PATIENCE));
        assertThat(page.locator(".phases li.done").count()).isGreaterThan(4);
        assertThat(page.getByText("model.safetensors").first()).isVisible(VISIBLE);
        picture("job");
        accessible();
    }

    @Test
    @Order(3)
    void anOrderThatIsWrongSaysEverythingThatIsWrongWithIt() {
        visit("#/order");
        page.getByLabel("The order as it is sent").fill("{\"model\": \"nobody\", \"budgt\": 1}");
        button("Order").click();
        assertThat(page.locator("[role=alert] li").first()).isVisible(VISIBLE);
        assertThat(page.locator("main")).containsText("budgt");
        page.getByLabel("The order as it is sent").fill("{");
        button("Order").click();
        assertThat(page.locator("main")).containsText("The order is no JSON");
    }

    @Test
    @Order(4)
    void theExplorerShowsExpertsAndTheAtomsOfTheOneThatIsPicked() {
        openScoreSet();
        page.getByLabel("Colour by").selectOption("routed_tokens");
        Locator map = page.locator("canvas.heat");
        map.focus();
        page.keyboard().press("ArrowDown");
        page.keyboard().press("ArrowRight");
        assertThat(page.locator("main")).containsText("Layer 1, expert 1:");
        page.keyboard().press("Enter");
        assertThat(page.getByText("Layer 1, expert 1: 96 atoms")).isVisible(VISIBLE);
        picture("scores");
        accessible();
    }

    @Test
    @Order(5)
    void theSliderAsksWhatIfAndItsAnswerCanBeOrdered() throws Exception {
        openScoreSet();
        Locator removed = figure("Atoms removed");
        assertThat(removed).hasText("25.0 %", new LocatorAssertions.HasTextOptions().setTimeout(PATIENCE));
        Locator slider = page.getByLabel("Cut away");
        slider.fill("0.5");
        assertThat(removed).hasText("50.0 %", new LocatorAssertions.HasTextOptions().setTimeout(PATIENCE));
        page.getByLabel("Layout").selectOption("uniform");
        page.getByLabel("Alignment").selectOption("32");
        assertThat(figure("Widths")).hasText(Pattern.compile("(32|64) to \\1"), new LocatorAssertions.HasTextOptions().setTimeout(PATIENCE));
        picture("what-if");
        button("Order this").click();
        Locator ordered = page.getByText("Ordered job_");
        assertThat(ordered).isVisible(VISIBLE);
        String id = ordered.getByRole(AriaRole.LINK).textContent();
        String job = get("/v1/pruning-jobs/" + id + "?wait=60s&while=queued");
        assertThat(job).contains("\"layout\":\"uniform\"", "\"alignment\":32", "\"ratio\":0.5");
        visit("#/jobs/" + id);
        assertThat(page.locator("h1 .state")).hasText("succeeded", new LocatorAssertions.HasTextOptions().setTimeout(PATIENCE));
    }

    @Test
    @Order(6)
    void runsStandBesideEachOther() {
        visit("#/jobs");
        Locator picks = page.getByRole(AriaRole.CHECKBOX);
        assertThat(picks).hasCount(2, new LocatorAssertions.HasCountOptions().setTimeout(PATIENCE));
        picture("jobs");
        accessible();
        picks.nth(0).check();
        picks.nth(1).check();
        button("Compare picked").click();
        assertThat(page.getByText("Overlap of what stays")).isVisible(VISIBLE);
        assertThat(page.getByText("100.0 %").first()).isVisible(VISIBLE);
        assertThat(page.locator("main")).containsText("Perplexity after");
        picture("compare");
        accessible();
    }

    @Test
    @Order(7)
    void allOfItIsThereInTheDarkAndOnAPhone() {
        page.emulateMedia(new Page.EmulateMediaOptions().setColorScheme(ColorScheme.DARK));
        page.setViewportSize(390, 800);
        for (String where : List.of("#/jobs", "#/scores", "#/compare", "#/order")) {
            visit(where);
            assertThat(page.locator("h1")).isVisible(VISIBLE);
            page.waitForTimeout(300);
            assertThat((Integer) page.evaluate("document.documentElement.scrollWidth")).as("%s is no wider than the screen", where)
                    .isLessThanOrEqualTo(390);
            accessible();
        }
        openScoreSet();
        assertThat((Integer) page.evaluate("document.documentElement.scrollWidth")).isLessThanOrEqualTo(390);
        picture("phone-dark");
        accessible();
    }

    @Test
    @Order(8)
    void whatTheApiRefusesIsSaidAndHowToGoOn() {
        page.route("**/v1/pruning-jobs?**", route -> route.fulfill(new com.microsoft.playwright.Route.FulfillOptions().setStatus(503)
                .setContentType("application/problem+json").setBody("{\"title\":\"Away\",\"detail\":\"the database does not answer\",\"code\":\"x\"}")));
        visit("#/jobs");
        assertThat(page.locator("[role=alert]").getByText("the database does not answer")).isVisible(VISIBLE);
        page.unroute("**/v1/pruning-jobs?**");
        button("Try again").click();
        assertThat(page.getByRole(AriaRole.CHECKBOX).first()).isVisible(VISIBLE);

        page.route("**/v1/**", route -> route.fulfill(new com.microsoft.playwright.Route.FulfillOptions().setStatus(401)
                .setContentType("application/problem+json").setBody("{\"title\":\"Who are you?\",\"detail\":\"no token\",\"code\":\"x\"}")));
        visit("#/scores");
        assertThat(page.getByRole(AriaRole.DIALOG)).isVisible(VISIBLE);
        picture("sign-in");
        accessible();
        page.unroute("**/v1/**");
        List<String> tokens = new ArrayList<>();
        page.onRequest(request -> tokens.add(String.valueOf(request.headers().get("authorization"))));
        page.getByLabel("Key or token").fill("esp_secret");
        button("Use it").click();
        assertThat(page.getByText("Score sets")).isVisible(VISIBLE);
        assertThat(tokens).contains("Bearer esp_secret");
        assertThat((String) page.evaluate("JSON.stringify({...localStorage})")).doesNotContain("esp_secret");
    }

    @Test
    @Order(9)
    void nothingComesFromElsewhere() {
        List<String> asked = new ArrayList<>();
        page.onRequest(request -> asked.add(request.url()));
        visit("#/jobs");
        assertThat(page.locator("h1")).isVisible(VISIBLE);
        assertThat(asked).isNotEmpty().allSatisfy(url -> assertThat(url).startsWith(address));
    }

    private void visit(String where) {
        page.navigate("about:blank");
        page.navigate(address + "/" + where);
    }

    private void openScoreSet() {
        visit("#/scores");
        page.locator("main td a").first().click();
        assertThat(figure("Atoms removed")).isVisible(VISIBLE);
    }

    private Locator figure(String name) {
        return page.locator("dl.figure").filter(new Locator.FilterOptions().setHas(page.locator("dt", new Page.LocatorOptions().setHasText(
                Pattern.compile("^" + name + "$"))))).locator("dd");
    }

    private Locator button(String name) {
        return page.getByRole(AriaRole.BUTTON, new Page.GetByRoleOptions().setName(name).setExact(true));
    }

    private static Page.GetByLabelOptions exactly() {
        return new Page.GetByLabelOptions().setExact(true);
    }

    private void picture(String name) {
        page.screenshot(new Page.ScreenshotOptions().setPath(PICTURES.resolve(name + ".png")).setFullPage(true));
    }

    /** Nothing that axe calls serious or critical. */
    private void accessible() {
        List<Rule> violations = new AxeBuilder(page).analyze().getViolations();
        assertThat(violations.stream().filter(rule -> List.of("serious", "critical").contains(rule.getImpact()))
                .map(rule -> rule.getId() + ": " + rule.getNodes())).as(page.url()).isEmpty();
    }

    private static String get(String path) throws IOException, InterruptedException {
        return HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(address + path)).build(),
                HttpResponse.BodyHandlers.ofString()).body();
    }
}

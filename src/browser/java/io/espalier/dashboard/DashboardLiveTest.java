package io.espalier.dashboard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.time.Duration;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.microsoft.playwright.Dialog;
import com.microsoft.playwright.Locator;
import com.microsoft.playwright.options.AriaRole;
import io.espalier.objectstore.CuttingProxy;
import org.junit.jupiter.api.Test;

/** Jobs that are at work, on the real service: the buttons, a service that goes and comes back, figures that grow, and what an order would come to. */
class DashboardLiveTest extends Visitor {

    private static final Pattern AT_WORK = Pattern.compile("queued|running");

    /** Layout shifts that nobody asked for by touching the page. */
    private static final String SHIFTS = """
            window.shifts = [];
            new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
              if (!entry.hadRecentInput) shifts.push([entry.value, ...entry.sources.map((s) => s.node?.nodeName + "." + s.node?.className)].join(" "));
            })).observe({ type: "layout-shift", buffered: true });""";

    /** More tokens than any machine goes through while somebody presses buttons. */
    private static String longJob() {
        return ordered(
                """
                        {"model": "tiny-qwen2moe", "calibration": {"corpus": "kjv-train", "sequences": 1500, "sequence_length": 256}, "budget": {"ratio": 0.25}}""");
    }

    private static String ordered(String order) {
        return idIn(send(to("/v1/pruning-jobs").header("Content-Type", "application/json").POST(HttpRequest.BodyPublishers.ofString(order)))
                .body());
    }

    private Locator state() {
        return page.locator("h1 .state");
    }

    @Test
    void aJobIsPausedResumedCancelledRetriedAndDeletedByItsButtons() {
        String id = longJob();
        visit("#/jobs/" + id);
        seen(state());
        button("Pause").click();
        reads(state(), "paused");
        assertThat(button("Pause").isDisabled()).isTrue();
        button("Resume").click();
        reads(state(), AT_WORK);
        button("Cancel").click();
        reads(state(), "cancelled");
        assertThat(button("Cancel").isDisabled()).isTrue();
        assertThat(page.title()).startsWith("cancelled: " + id);
        button("Retry").click();
        reads(state(), AT_WORK);
        button("Cancel").click();
        reads(state(), "cancelled");
        page.onDialog(Dialog::accept);
        button("Delete").click();
        seen(heading("Jobs"));
        assertThat(send(to("/v1/pruning-jobs/" + id)).statusCode()).isEqualTo(404);
    }

    @Test
    void aServiceThatGoesAndComesBackIsSaidAndFollowedAgainAndNothingMoves() throws IOException {
        String id = longJob();
        try (CuttingProxy service = new CuttingProxy(URI.create(CHROMIUM.address()).getPort())) {
            page.addInitScript(SHIFTS);
            page.navigate("http://127.0.0.1:" + service.port() + "/#/jobs/" + id);
            reads(state(), "running");
            holds(page.getByRole(AriaRole.LOG), "Phase calibrate");
            service.refuse(true);
            holds(page.locator(".notice"), "Not live: ");
            picture("job-without-service");
            // why: what the service does meanwhile has to be there afterwards
            send(to("/v1/pruning-jobs/" + id + "/cancel").POST(HttpRequest.BodyPublishers.noBody()));
            await().atMost(Duration.ofMinutes(1))
                    .until(() -> send(to("/v1/pruning-jobs/" + id)).body().contains("\"state\":\"cancelled\""));
            reads(state(), "running");
            service.refuse(false);
            reads(state(), "cancelled");
            counts(page.locator(".notice .trouble"), 0);
            assertThat(shifts()).isEmpty();
        }
    }

    @Test
    void aJobThatIsWatchedToItsEndMovesNothing() {
        String id = ordered(
                """
                        {"model": "tiny-qwen2moe", "calibration": {"corpus": "kjv-train", "sequences": 24, "sequence_length": 128}, "budget": {"ratio": 0.3},
                         "evaluation": {"corpus": "kjv-test", "windows": 2}}""");
        page.addInitScript(SHIFTS);
        visit("#/jobs/" + id);
        reads(state(), "succeeded");
        seen(figure("Perplexity"));
        assertThat(shifts()).isEmpty();
        page.getByRole(AriaRole.LINK, named("Scores and what-if")).click();
        reads(figure("Atoms removed"), "25.0 %");
        seen(page.getByText("Layer 0, expert 0: 96 atoms"));
        holds(page.getByRole(AriaRole.REGION, named("The same cut in each layout")), "yes");
        assertThat(shifts()).isEmpty();
        visit("#/jobs");
        seen(page.getByText(id));
        ordered("{\"model\": \"tiny-qwen2moe\", \"method\": \"random\", \"budget\": {\"ratio\": 0.3}}");
        // why: the line that comes moves those below it, and no thing but the table
        seen(page.getByRole(AriaRole.CELL, named("random")));
        assertThat(shifts()).allSatisfy(shift -> assertThat(shift).containsPattern("T[RDH]\\."));
    }

    @SuppressWarnings("unchecked")
    private List<String> shifts() {
        return (List<String>) page.evaluate("shifts");
    }

    @Test
    void theThroughputOfAFinishedJobIsWhatTheServiceKeptOfIt() {
        String id = ordered(
                """
                        {"model": "tiny-qwen2moe", "calibration": {"corpus": "kjv-train", "sequences": 40, "sequence_length": 256}, "budget": {"ratio": 0.2}}""");
        await().atMost(Duration.ofMinutes(3)).until(() -> send(to("/v1/pruning-jobs/" + id)).body().contains("\"state\":\"succeeded\""));
        Matcher value = Pattern.compile("\"value\":([-+0-9.eE]+)")
                .matcher(send(to("/v1/pruning-jobs/" + id + "/metrics?name=tokens_per_second")).body());
        List<Double> kept = value.results().map(found -> Double.valueOf(found.group(1))).toList();
        assertThat(kept).as("points of the series").isNotEmpty();
        visit("#/jobs/" + id);
        seen(heading("Throughput"));
        Object drawn = page.evaluate("Chart.getChart(document.querySelector('.chart canvas')).data.datasets[0].data.map((p) => p.y)");
        assertThat(((List<?>) drawn).stream().map(each -> ((Number) each).doubleValue()).toList()).isEqualTo(kept);
    }

    @Test
    void aPreflightSaysWhatTheOrderWouldComeTo() {
        visit("#/order");
        field("Layout").selectOption("uniform");
        button("Preflight").click();
        seen(page.getByText("Nothing stands in the way of this order."));
        reads(figure("Memory"), Pattern.compile(".+ of .+ on cpu"));
        reads(figure("Disk"), Pattern.compile(".+ free"));
        reads(figure("Calibration tokens"), Pattern.compile("8,192; the text has .*"));
        reads(figure("Architecture"), "qwen2_moe");
        counts(page.getByRole(AriaRole.REGION, named("Engines that load the result")).locator("tbody tr"), 5);
        picture("preflight");
        accessible();
        field("Method").selectOption("magnitude");
        assertThat(field("Calibrate on").isDisabled()).isTrue();
        button("Preflight").click();
        reads(figure("Calibration tokens"), "none");
    }

    @Test
    void aPreflightSaysWhatStandsInTheWay() {
        visit("#/order");
        field("Tokens a sequence").fill("100000");
        field("Cut away (0 to 1)").fill("0.999");
        button("Preflight").click();
        holds(page.getByRole(AriaRole.ALERT), "The job would fail: ");
        holds(page.getByRole(AriaRole.ALERT), "calibration.sequence_length");
        picture("preflight-refused");
        accessible();
        page.route("**/v1/pruning-jobs?dry_run=true", route -> route.fulfill(json(route.fetch().text()
                .replaceFirst("\"free_bytes\":\\d+,\"enough\":true", "\"free_bytes\":1000,\"enough\":false"))));
        field("Tokens a sequence").fill("256");
        field("Cut away (0 to 1)").fill("0.25");
        button("Preflight").click();
        holds(page.getByRole(AriaRole.ALERT), "The disk is too small for it.");
        reads(figure("Disk"), Pattern.compile(".* 1 kB free"));
    }

    @Test
    void aFieldOfTheOrderLeavesAloneWhatElseWasWritten() {
        visit("#/order");
        Locator order = field("The order as it is sent");
        order.fill("{\"priority\": 7, \"calibration\": {\"seed\": 3}, \"evaluation\": {\"windows\": 5}}");
        field("Sequences").fill("4");
        field("Layout").selectOption("experts");
        assertThat(order.inputValue()).contains("\"priority\": 7", "\"seed\": 3", "\"sequences\": 4", "\"windows\": 5",
                "\"layout\": \"experts\"");
    }
}

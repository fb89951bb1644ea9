package io.espalier.dashboard;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.AriaRole;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the dashboard says when the service refuses, is away, or has nothing yet; and how it goes on. */
class DashboardTroubleTest extends Visitor {

    private static final String JOBS = "**/v1/pruning-jobs?**";
    private static final String NOTHING = "{\"items\": [], \"next_cursor\": null}";

    @Test
    void anEmptyListSaysWhatToDo() {
        page.route("**/v1/**", route -> route.fulfill(json(NOTHING)));
        visit("");
        seen(page.getByText("No job yet."));
        picture("empty");
        accessible();
        visit("#/jobs?state=failed");
        seen(page.getByText("No job is failed."));
        visit("#/scores");
        seen(page.getByText("No scores yet."));
        accessible();
        visit("#/compare");
        seen(page.getByText("No run has succeeded yet"));
        accessible();
    }

    @Test
    void anOrderThatIsWrongSaysEverythingThatIsWrongWithIt() {
        visit("#/order");
        Locator order = field("The order as it is sent");
        order.fill("{\"model\": \"nobody\", \"budgt\": 1}");
        button("Order").click();
        holds(page.getByRole(AriaRole.ALERT), "budgt");
        seen(page.locator("[role=alert] li"));
        order.fill("{");
        button("Order").click();
        holds(page.getByRole(AriaRole.ALERT), "The order is no JSON");
    }

    @Test
    void aListStaysWhereItIsWhileTheServiceIsAwayAndGoesOnByItself() {
        String id = done();
        visit("#/jobs");
        seen(page.getByText(id));
        page.route(JOBS, route -> route.fulfill(refusal(503, "the database does not answer")));
        holds(page.getByRole(AriaRole.ALERT), "Not live: the database does not answer");
        seen(page.getByText(id));
        accessible();
        page.unroute(JOBS);
        counts(page.locator(".notice .trouble"), 0);
    }

    @Test
    void aPageThatCannotBeShownTriesAgainByItselfWhenItIsTold() {
        AtomicInteger asked = new AtomicInteger();
        page.route(JOBS, route -> {
            if (asked.incrementAndGet() < 3) {
                route.fulfill(refusal(429, "too many requests")
                        .setHeaders(Map.of("Retry-After", "1", "Content-Type", "application/problem+json")));
            } else {
                route.fulfill(json(NOTHING));
            }
        });
        visit("#/jobs");
        seen(page.getByText("this page waits as long as it was told to"));
        seen(page.getByText("No job yet."));
        assertThat(asked.get()).isGreaterThanOrEqualTo(3);
    }

    @ParameterizedTest
    @ValueSource(strings = {"#/jobs", "#/jobs/ID", "#/scores", "#/scores/scr_01nothere", "#/compare?job=ID", "#/order"})
    void everyPageSaysWhatWasRefusedAndGoesOnWhenTheServiceDoes(String where) {
        String there = where.replace("ID", done());
        page.route("**/v1/**", route -> route.fulfill(refusal(404, "gone with the wind")));
        visit(there);
        holds(page.getByRole(AriaRole.ALERT), "gone with the wind");
        holds(page.getByRole(AriaRole.ALERT), "It may have been deleted");
        seen(button("Try again"));
        page.unroute("**/v1/**");
        page.route("**/v1/**", route -> route.fulfill(refusal(503, "the database does not answer")));
        button("Try again").click();
        holds(page.getByRole(AriaRole.ALERT), "the database does not answer");
        holds(page.getByRole(AriaRole.ALERT), "This page tries again by itself.");
        accessible();
        page.unroute("**/v1/**");
        page.route("**/v1/**", route -> route.fulfill(refusal(429, "too many requests")
                .setHeaders(Map.of("Retry-After", "1", "Content-Type", "application/problem+json"))));
        holds(page.getByRole(AriaRole.ALERT), "too many requests");
        page.unroute("**/v1/**");
        if (where.contains("nothere")) {
            holds(page.getByRole(AriaRole.ALERT), "scr_01nothere");
        } else {
            counts(page.locator(".trouble"), 0);
            counts(button("Try again"), 0);
        }
    }

    @Test
    void whatIsNotThereIsSaid() {
        visit("#/jobs/job_01nothere");
        seen(page.getByText("It may have been deleted, or belong to another project."));
        seen(button("Try again"));
        accessible();
    }

    @Test
    void aTokenIsAskedForAndKeptInThisTabOnly() {
        page.route("**/v1/**", route -> route.fulfill(refusal(401, "no token")));
        visit("#/scores");
        seen(page.getByRole(AriaRole.DIALOG));
        picture("sign-in");
        accessible();
        page.unroute("**/v1/**");
        List<String> tokens = new CopyOnWriteArrayList<>();
        page.onRequest(request -> tokens.add(String.valueOf(request.headers().get("authorization"))));
        field("Key or token").fill("esp_secret");
        button("Use it").click();
        seen(heading("Score sets"));
        assertThat(tokens).contains("Bearer esp_secret");
        assertThat((String) page.evaluate("JSON.stringify({...localStorage}) + document.cookie + location.href"))
                .doesNotContain("esp_secret");
        button("Signed in").click();
        button("Forget it").click();
        seen(button("Sign in"));
        assertThat((String) page.evaluate("JSON.stringify({...sessionStorage})")).doesNotContain("esp_secret");
    }

    @Test
    void aTokenThatExpiresInTheMiddleOfItIsAskedForOnce() {
        done();
        visit("#/jobs");
        seen(page.getByRole(AriaRole.CHECKBOX));
        button("Sign in").click();
        field("Key or token").fill("esp_first");
        button("Use it").click();
        seen(page.getByRole(AriaRole.CHECKBOX));
        page.route(JOBS, route -> {
            if ("Bearer esp_first".equals(route.request().headers().get("authorization"))) {
                route.fulfill(refusal(401, "the token has expired"));
            } else {
                route.resume();
            }
        });
        seen(page.getByText("not, or no longer, accepted"));
        button("Cancel").click();
        holds(page.locator("main"), "the token has expired");
        button("Try again").click();
        holds(page.locator("main"), "Sign in with a key or token that is valid here.");
        assertThat(page.getByRole(AriaRole.DIALOG).isVisible()).as("asked again for the same token").isFalse();
        button("Signed in").click();
        field("Key or token").fill("esp_second");
        button("Use it").click();
        seen(page.getByRole(AriaRole.CHECKBOX));
    }

    @Test
    void aStreamThatBreaksIsSaidAndMadeAgain() {
        String id = done();
        page.route("**/events", route -> route.abort());
        visit("#/jobs/" + id);
        holds(page.getByRole(AriaRole.ALERT).filter(new Locator.FilterOptions().setHasText("Not live")), "The service does not answer");
        reads(page.locator("h1 .state"), "succeeded");
        page.unroute("**/events");
        holds(page.getByRole(AriaRole.LOG), "Phase publish");
        counts(page.locator(".notice .trouble"), 0);
    }

    @Test
    void aStreamGoesOnBehindTheLastEventThatWasHeard() {
        String id = done();
        List<String> from = new ArrayList<>();
        page.route("**/events", route -> {
            from.add(String.valueOf(route.request().headers().get("last-event-id")));
            if (from.size() == 1) {
                route.fulfill(json(
                        "id: 1\nevent: queued\ndata: {\"seq\": 1, \"at\": \"2026-01-01T00:00:00Z\", \"message\": \"the one before\"}\n\n")
                        .setContentType("text/event-stream"));
            } else {
                route.resume();
            }
        });
        visit("#/jobs/" + id);
        holds(page.getByRole(AriaRole.LOG), "Phase publish");
        counts(page.getByText("the one before"), 1);
        assertThat(from).startsWith("null", "1");
    }

    @Test
    void nothingComesFromElsewhereAndThePolicyHolds() {
        String id = done();
        List<String> asked = new CopyOnWriteArrayList<>();
        page.onRequest(request -> asked.add(request.url()));
        visit("#/jobs/" + id);
        seen(page.getByText("model.safetensors", new Page.GetByTextOptions().setExact(true)));
        page.getByRole(AriaRole.LINK, new Page.GetByRoleOptions().setName("Scores and what-if")).click();
        reads(figure("Atoms removed"), "25.0 %");
        assertThat(asked).isNotEmpty().allSatisfy(url -> assertThat(url).startsWith(CHROMIUM.address()));
        assertThat(complaints).as("so far").isEmpty();
        String forbidden = String.valueOf(page.evaluate("""
                () => new Promise((told) => {
                  addEventListener("securitypolicyviolation", (e) => told(e.effectiveDirective));
                  document.body.append(Object.assign(document.createElement("script"), { textContent: "document.title = 'inline'" }));
                })"""));
        assertThat(forbidden).as("what an inline script breaks").startsWith("script-src");
        assertThat(page.title()).isNotEqualTo("inline");
        complaints.clear();
    }

    @Test
    void whatHasNotChangedIsNotSentAgain() {
        for (String path : List.of("/", "/index.html", "/dashboard/main.js", "/dashboard/style.css",
                "/webjars/chart.js/4.5.1/dist/chart.umd.min.js")) {
            HttpResponse<String> answer = send(to(path).header("Accept", "text/html, */*"));
            assertThat(answer.statusCode()).as(path).isEqualTo(200);
            assertThat(answer.headers().firstValue("Cache-Control")).as(path).contains("no-cache");
            String etag = answer.headers().firstValue("ETag").orElseThrow();
            assertThat(send(to(path).header("Accept", "text/html, */*").header("If-None-Match", etag)).statusCode()).as(path)
                    .isEqualTo(304);
        }
    }
}

package io.espalier.dashboard;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.AriaRole;
import com.microsoft.playwright.options.ColorScheme;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;

/** What people do with the dashboard, in a real browser on the real service. Pictures of every page go into {@code target/dashboard}. */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class DashboardTest extends Visitor {

    private static String first;
    private static String second;

    @Test
    @Order(1)
    void aJobIsOrderedInTheFormAndFollowedToItsEnd() {
        visit("#/order");
        field("Sequences").fill("8");
        field("Tokens a sequence").fill("64");
        field("Calibrate on").selectOption("kjv-train");
        field("Measure on").selectOption("kjv-test");
        picture("order");
        accessible();
        button("Order").click();
        seen(page.locator("h1 .state"));
        first = idIn(page.url());
        holds(page.getByRole(AriaRole.LOG), "Phase calibrate");
        picture("job-live");
        reads(page.locator("h1 .state"), "succeeded");
        reads(figure("Perplexity"), Pattern.compile(".+ → .+"));
        seen(page.getByText("model.safetensors", new Page.GetByTextOptions().setExact(true)));
        assertThat(page.locator(".phases li.done").count()).isGreaterThan(4);
        visit("#/jobs/" + first);
        seen(page.getByText("pruning-plan.json"));
        holds(page.getByRole(AriaRole.LOG), "Phase publish");
        page.getByText("What the models say").click();
        counts(page.locator(".prompt"), 4);
        seen(page.locator(".voice").getByText("Pruned", new Locator.GetByTextOptions().setExact(true)));
        picture("job");
        accessible();
    }

    @Test
    @Order(2)
    void theExplorerShowsExpertsAndTheAtomsOfTheOneThatIsPicked() {
        openScores();
        picture("scores");
        field("Colour by").selectOption("routed_tokens");
        page.locator("canvas.heat").focus();
        page.keyboard().press("ArrowDown");
        page.keyboard().press("ArrowRight");
        holds(page.locator("main"), "Layer 1, expert 1: mean");
        page.keyboard().press("Enter");
        seen(page.getByText("Layer 1, expert 1: 96 atoms"));
        accessible();
    }

    @Test
    @Order(3)
    void theSliderAsksWhatIfAndItsAnswerCanBeOrdered() {
        openScores();
        reads(figure("Atoms removed"), "25.0 %");
        field("Cut away").fill("0.5");
        reads(figure("Atoms removed"), "50.0 %");
        field("Layout").selectOption("uniform");
        field("Alignment").selectOption("32");
        reads(figure("Widths"), Pattern.compile("(32|64) to \\1"));
        Locator layouts = page.getByRole(AriaRole.REGION, named("The same cut in each layout")).locator("tbody tr");
        holds(layouts.filter(new Locator.FilterOptions().setHasText("ragged")), "no");
        List<String> foreseen = layouts.filter(new Locator.FilterOptions().setHasText("uniform")).locator("td span").allTextContents();
        assertThat(foreseen).containsExactly("yes", "yes", "yes", "yes", "needs help");
        picture("what-if");
        button("Order this").click();
        Locator ordered = page.getByText("Ordered job_").getByRole(AriaRole.LINK);
        seen(ordered);
        second = ordered.textContent();
        assertThat(send(to("/v1/pruning-jobs/" + second)).body()).contains("\"layout\":\"uniform\"", "\"alignment\":32", "\"ratio\":0.5");
        visit("#/jobs/" + second);
        reads(page.locator("h1 .state"), "succeeded");
        assertThat(page.getByRole(AriaRole.REGION, named("Engines that load the result")).locator("td:nth-child(2)").allTextContents())
                .as("what the artifact says, and what was said before it was ordered").isEqualTo(foreseen);
    }

    @Test
    @Order(4)
    void runsStandBesideEachOtherWithTheAtomsThatBothKeep() {
        visit("#/jobs");
        field("Pick " + first + " for comparison").check();
        field("Pick " + second + " for comparison").check();
        picture("jobs");
        accessible();
        button("Compare 2 picked").click();
        seen(heading("Overlap of what stays"));
        Locator cells = page.getByRole(AriaRole.REGION, named("Overlap of kept atoms")).locator("td.n");
        counts(cells, 4);
        assertThat(cells.nth(0).textContent()).isEqualTo("100.0 %");
        assertThat(cells.nth(1).textContent()).as("to and fro").isEqualTo(cells.nth(2).textContent())
                .isEqualTo(overlap(plan(first), plan(second)));
        holds(page.locator("main"), "Perplexity after");
        picture("compare");
        accessible();
    }

    @Test
    @Order(5)
    void allOfItIsThereInTheDarkOnAPhone() {
        page.emulateMedia(new Page.EmulateMediaOptions().setColorScheme(ColorScheme.DARK));
        page.setViewportSize(390, 800);
        for (String where : List.of("#/jobs", "#/jobs/" + first, "#/scores", "#/compare?job=" + first + "&job=" + second, "#/order")) {
            visit(where);
            seen(page.locator("h1"));
            fits(where);
            picture("phone-dark-" + (where.contains(first) ? where.substring(2, 5) : where.substring(2)));
        }
        openScores();
        fits("score set");
        picture("phone-dark-score-set");
    }

    private void fits(String where) {
        assertThat((Integer) page.evaluate("document.documentElement.scrollWidth")).as("%s is no wider than the screen", where)
                .isLessThanOrEqualTo(390);
    }

    @Test
    @Order(6)
    void theMainJobCanBeDoneWithTheKeyboardAlone() {
        visit("#/jobs");
        seen(page.getByRole(AriaRole.CHECKBOX));
        page.keyboard().press("Tab");
        assertThat(focused()).isEqualTo("Skip to content");
        tabTo("New job");
        page.keyboard().press("Enter");
        seen(heading("New job"));
        tabTo("Sequences");
        page.keyboard().press("ControlOrMeta+a");
        page.keyboard().type("4");
        tabTo("Tokens a sequence");
        page.keyboard().press("ControlOrMeta+a");
        page.keyboard().type("32");
        tabTo("Order");
        page.keyboard().press("Enter");
        reads(page.locator("h1 .state"), "succeeded");
        tabTo("Scores and what-if");
        page.keyboard().press("Enter");
        reads(figure("Atoms removed"), "25.0 %");
        tabTo("Cut away");
        page.keyboard().press("ArrowRight");
        reads(figure("Atoms removed"), "25.5 %");
    }

    /** Presses the tabulator until it is there. */
    private void tabTo(String name) {
        List<String> passed = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            page.keyboard().press("Tab");
            passed.add(focused());
            if (passed.getLast().equals(name)) {
                return;
            }
        }
        throw new AssertionError(name + " is not among what the tabulator reaches: " + passed);
    }

    private String focused() {
        return String.valueOf(page.evaluate("(e => e.labels?.[0]?.textContent ?? e.getAttribute('aria-label') ?? e.textContent.trim())"
                + "(document.activeElement)"));
    }

    private void openScores() {
        visit("#/jobs/" + first);
        page.getByRole(AriaRole.LINK, named("Scores and what-if")).click();
        seen(figure("Atoms removed"));
        seen(page.getByText("Layer 0, expert 0: 96 atoms"));
    }
}

package io.espalier.dashboard;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;

import com.microsoft.playwright.Locator;
import com.microsoft.playwright.Page;
import com.microsoft.playwright.options.AriaRole;
import com.microsoft.playwright.options.ColorScheme;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs beside each other whose plans came about in every way there is: by protections, by layer, by expert, by whole experts that went. */
class CompareTest extends Visitor {

    private static final String SPOKEN = """
            "evaluation": {"corpus": "kjv-test", "windows": 4, "sequence_length": 96, "random_control": false,
             "continuations": {"prompts": 3, "prompt_tokens": 24, "tokens": 24}}}""";
    private static final List<String> ORDERS = List.of("""
            {"model": "tiny-qwen2moe", "method": "magnitude", "budget": {"ratio": 0.25},
             "protections": {"layers": [1], "min_width": 8, "experts": [{"layer": 0, "expert": 3, "atoms": [0, 5, 95]}]},\s""" + SPOKEN, """
            {"model": "tiny-qwen2moe", "method": {"name": "magnitude", "scope": "layer"}, "budget": {"ratio": 0.5},\s""" + SPOKEN, """
            {"model": "tiny-qwen2moe", "method": {"name": "magnitude", "scope": "expert"}, "budget": {"ratio": 0.25}}""", """
            {"model": "tiny-qwen2moe", "method": "magnitude", "budget": {"ratio": 0.5}, "layout": "experts",\s""" + SPOKEN);

    private static List<String> jobs;

    @BeforeAll
    static void order() {
        jobs = ORDERS.stream().map(Visitor::done).toList();
    }

    @Test
    void whatBothKeepIsWhatThePlansOfTheArtifactsHaveInCommonWhateverMadeThem() {
        compare();
        List<Set<String>> plans = jobs.stream().map(Visitor::plan).toList();
        assertThat(plans.getFirst()).contains("0.3.0", "0.3.5", "0.3.95").filteredOn(atom -> atom.startsWith("1.")).hasSize(16 * 96);
        Locator cells = page.getByRole(AriaRole.REGION, new Page.GetByRoleOptions().setName("Overlap of kept atoms")).locator("td.n");
        counts(cells, 16);
        assertThat(cells.allTextContents())
                .containsExactlyElementsOf(plans.stream().flatMap(one -> plans.stream().map(other -> overlap(one, other))).toList());
        assertThat(Set.copyOf(cells.allTextContents())).as("every pair differs").hasSize(1 + 6);
    }

    @Test
    void whatTheyContinueStandsBesideTheOriginalAndWhereTheyPartIsMarked() {
        compare();
        seen(heading("What they say"));
        Locator prompts = page.locator(".prompt");
        counts(prompts, 3);
        List<JsonNode> spoken = Stream.of(0, 1, 3).map(i -> job(i).at("/result/continuations/prompts")).toList();
        for (int p = 0; p < 3; p++) {
            JsonNode first = spoken.getFirst().get(p);
            Locator voices = prompts.nth(p).locator(".voice");
            counts(voices, 2 + 3);
            assertThat(prompts.nth(p).locator("blockquote").textContent()).isEqualTo(first.at("/prompt/text").stringValue());
            assertThat(voices.nth(0).locator("p").textContent()).isEqualTo(first.at("/reference/text").stringValue());
            assertThat(voices.nth(1).locator("p").textContent()).isEqualTo(first.at("/before/text").stringValue());
            for (int run = 0; run < 3; run++) {
                JsonNode said = spoken.get(run).get(p);
                Locator voice = voices.nth(2 + run);
                String shown = voice.locator("p").textContent();
                boolean same = said.at("/after/text").equals(said.at("/before/text"));
                assertThat(shown.replace("[differs from here] ", "").replace("\u2798", "")).isEqualTo(said.at("/after/text").stringValue());
                assertThat(shown.contains("[differs from here]")).as(shown).isNotEqualTo(same);
                assertThat(voice.locator("figcaption").textContent()).contains(same
                        ? "all 24 tokens as the original"
                        : said.get("tokens_agreeing").intValue() + " of 24 tokens as the original");
            }
        }
        holds(page.locator("main"), "Without prompts: magnitude ragged 25.0 %");
        double share = job(3).at("/result/continuations/agreeing_share").doubleValue();
        holds(page.locator("main"), String.format(Locale.ROOT, "%.1f %% of tokens", 100 * share));
        picture("compare-continuations");
        accessible();
    }

    @Test
    void onAPhoneTheyStandBelowEachOther() {
        page.emulateMedia(new Page.EmulateMediaOptions().setColorScheme(ColorScheme.DARK));
        page.setViewportSize(390, 800);
        compare();
        counts(page.locator(".prompt"), 3);
        assertThat((Integer) page.evaluate("document.documentElement.scrollWidth")).isLessThanOrEqualTo(390);
        Locator voices = page.locator(".prompt").first().locator(".voice");
        assertThat(voices.nth(1).boundingBox().y).isGreaterThan(voices.nth(0).boundingBox().y);
        picture("phone-dark-compare-continuations");
        accessible();
    }

    @Test
    void aRunAloneHasItsWordsInItsResultAndThePreflightSaysWhatTheyCost() {
        visit("#/jobs/" + jobs.getFirst());
        Locator said = page.getByText("What the models say: 3 prompts");
        seen(said);
        said.click();
        counts(page.locator(".voice"), 3 * 3);
        visit("#/order");
        field("Measure on").selectOption("kjv-test");
        assertThat(field("Continue").inputValue()).isEqualTo("4");
        assertThat(field("The order as it is sent").inputValue()).contains("\"prompt_tokens\": 32");
        button("Preflight").click();
        holds(figure("Continuations"), "256 tokens, reading ");
        field("Continue").selectOption("0");
        assertThat(field("The order as it is sent").inputValue()).doesNotContain("continuations");
        button("Preflight").click();
        reads(figure("Continuations"), "none");
    }

    private void compare() {
        visit("#/compare?" + String.join("&", jobs.stream().map(job -> "job=" + job).toList()));
        seen(heading("Overlap of what stays"));
    }

    private static JsonNode job(int index) {
        return JsonMapper.shared().readTree(send(to("/v1/pruning-jobs/" + jobs.get(index))).body());
    }
}

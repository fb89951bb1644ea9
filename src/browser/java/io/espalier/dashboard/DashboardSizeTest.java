package io.espalier.dashboard;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import com.microsoft.playwright.Route;
import com.microsoft.playwright.options.BoundingBox;
import org.junit.jupiter.api.Test;

/**
 * The largest models there are, and long lists, out of answers that were made up. How long the page took is written to {@code target/dashboard/figures.txt};
 * what is asserted is that it works.
 */
class DashboardSizeTest extends Visitor {

    private static final int LAYERS = 94;
    private static final int EXPERTS = 256;
    private static final int WIDTH = 1536;
    private static final String AT = "\"2026-01-01T00:00:00Z\"";

    /** Runs something once a frame and tells how long the frames in between were. */
    private static final String FRAMES = """
            async (name) => {
              const step = { key: (i) => target.dispatchEvent(new KeyboardEvent("keydown", { key: i % 7 ? "ArrowRight" : "ArrowDown" })),
                move: (i) => target.dispatchEvent(new MouseEvent("mousemove", { clientX: box.left + 3 * i, clientY: box.top + i })) }[name];
              const target = document.querySelector("canvas.heat");
              const box = target.getBoundingClientRect();
              const took = [];
              for (let i = 0; i < 100; i++) {
                await new Promise(requestAnimationFrame);
                const began = performance.now();
                step(i);
                took.push(performance.now() - began);
              }
              took.sort((a, b) => a - b);
              return `${name}: p50 ${took[50].toFixed(2)} ms, p99 ${took[98].toFixed(2)} ms of script`;
            }""";

    /** Moves the slider, answers by itself, and tells how long each plan took from the hand to the frame that shows it. */
    private static final String SLIDES = """
            async () => {
              const ask = window.fetch;
              const plan = await (await ask("/v1/score-sets/scr_big/plans", { method: "POST", body: '{"budget":{"ratio":0.3}}' })).text();
              window.fetch = async (address, options) => String(address).endsWith("/plans")
                ? new Response(plan.replace('"routed_atom_ratio": 0.3', '"routed_atom_ratio": ' + JSON.parse(options.body).budget.ratio)) : ask(address, options);
              const slider = document.querySelector("input[type=range]");
              const shown = [...document.querySelectorAll("dl.figure")].find((figure) => figure.textContent.startsWith("Atoms removed"));
              const took = [];
              for (let i = 0; i < 100; i++) {
                const began = performance.now();
                slider.value = 0.2 + i * 0.005;
                slider.dispatchEvent(new Event("input"));
                while (!shown.textContent.includes((20 + i * 0.5).toFixed(1))) {
                  if (performance.now() - began > 30000) throw new Error("no plan for " + slider.value + ", but " + shown.textContent);
                  await new Promise(requestAnimationFrame);
                }
                took.push(performance.now() - began);
              }
              window.fetch = ask;
              took.sort((a, b) => a - b);
              return `slide: p50 ${took[50].toFixed(1)} ms, p99 ${took[98].toFixed(1)} ms from the slider to the plan's frame`;
            }""";

    @Test
    void aModelOf94LayersOf256ExpertsIsExplored() throws IOException {
        route(_ -> {});
        long began = System.nanoTime();
        visit("#/scores/scr_big");
        seen(page.locator("canvas.heat"));
        reads(figure("Atoms removed"), "25.0 %");
        note("94 x 256: %.0f ms from navigation to the first plan drawn".formatted((System.nanoTime() - began) / 1e6));
        note(String.valueOf(page.evaluate(FRAMES, "key")));
        note(String.valueOf(page.evaluate(FRAMES, "move")));
        note(String.valueOf(page.evaluate(SLIDES)));
        field("Colour by").selectOption("kept_width");
        page.locator("canvas.heat").scrollIntoViewIfNeeded();
        BoundingBox box = page.locator("canvas.heat").boundingBox();
        page.mouse().move(box.x + box.width - 2, box.y + box.height - 2);
        holds(page.locator("main"), "Layer 93, expert 255: mean");
        picture("scores-94x256");
    }

    @Test
    void theLastPositionOfTheSliderWinsAndOneQuestionIsAskedAtATime() {
        List<Double> asked = new CopyOnWriteArrayList<>();
        page.addInitScript("""
                const ask = window.fetch;
                let open = 0;
                window.most = 0;
                window.fetch = async (address, options) => {
                  const question = String(address).endsWith("/plans");
                  if (question) window.most = Math.max(window.most, ++open);
                  try {
                    return await ask(address, options);
                  } finally {
                    if (question) open--;
                  }
                };""");
        route(ratio -> {
            asked.add(ratio);
            LockSupport.parkNanos(200_000_000);
        });
        visit("#/scores/scr_big");
        reads(figure("Atoms removed"), "25.0 %");
        page.evaluate("""
                async () => {
                  const slider = document.querySelector("input[type=range]");
                  for (let i = 1; i <= 80; i++) {
                    slider.value = i / 100;
                    slider.dispatchEvent(new Event("input"));
                    await new Promise((resolve) => setTimeout(resolve, 10));
                  }
                }""");
        reads(figure("Atoms removed"), "80.0 %");
        assertThat(asked.getLast()).isEqualTo(0.8);
        assertThat(asked).as("questions for 80 positions").hasSizeLessThan(82);
        assertThat(page.evaluate("window.most")).as("questions at a time").isEqualTo(1);
    }

    @Test
    void aThousandJobsAndTenThousandEventsAreListed() throws IOException {
        String jobs = IntStream.range(0, 1000).mapToObj(i -> job("job_" + i))
                .collect(Collectors.joining(",", "{\"items\": [", "], \"next_cursor\": null}"));
        page.route("**/v1/pruning-jobs?**", route -> route.fulfill(json(jobs)));
        long began = System.nanoTime();
        visit("#/jobs");
        counts(page.locator("tbody tr"), 1000);
        note("1000 jobs: %.0f ms from navigation to the last line".formatted((System.nanoTime() - began) / 1e6));
        String events = IntStream.range(1, 10_001)
                .mapToObj(i -> "id: %d\nevent: note\ndata: {\"seq\": %d, \"at\": %s, \"message\": \"event %d\"}\n\n"
                        .formatted(i, i, AT, i))
                .collect(Collectors.joining()) + "event: end\ndata: " + job("job_1") + "\n\n";
        page.route("**/v1/pruning-jobs/job_1", route -> route.fulfill(json(job("job_1"))));
        page.route("**/v1/pruning-jobs/job_1/events", route -> route.fulfill(json(events).setContentType("text/event-stream")));
        began = System.nanoTime();
        visit("#/jobs/job_1");
        counts(page.locator(".log p"), 10_000);
        note("10000 events: %.0f ms from navigation to the last line".formatted((System.nanoTime() - began) / 1e6));
    }

    private interface Asked {
        void ratio(double ratio);
    }

    private void route(Asked asked) {
        SplittableRandom random = new SplittableRandom(7);
        String layers = layers(
                (layer, expert) -> "{\"expert\": %d, \"routed_tokens\": %d, \"mean\": %s, \"min\": 1e-9, \"max\": 1e-3, \"width\": %d}"
                        .formatted(expert, random.nextInt(5000), 1e-6 * Math.exp(3 * random.nextDouble()), WIDTH),
                "experts", "\"mean\": 1, \"min\": 0, \"max\": 2");
        page.route("**/v1/score-sets/scr_big", route -> {
            if (route.request().headers().containsKey("range")) {
                route.fulfill(refusal(404, "no file here"));
            } else {
                route.fulfill(json(
                        "{\"id\": \"scr_big\", \"model\": \"big\", \"method\": {\"name\": \"heapr\"}, \"unit\": \"nats\", \"tokens\": 1000,"
                                + " \"job\": null, \"summary\": {\"layers\": " + layers + "}}"));
            }
        });
        page.route("**/v1/score-sets/scr_big/curve?**", route -> route.fulfill(json("{\"layouts\": []}")));
        page.route("**/v1/score-sets/scr_big/plans", route -> answer(route, asked));
    }

    private static void answer(Route route, Asked asked) {
        double ratio = Double.parseDouble(route.request().postData().replaceAll(".*\"ratio\":([0-9.]+).*", "$1"));
        asked.ratio(ratio);
        String layers = layers((_, expert) -> String.valueOf((int) (WIDTH * (1 - ratio)) - expert % 8), "widths",
                "\"atoms\": 1000, \"kept_atoms\": 700, \"predicted_loss_change\": 0.1, \"removed_experts\": []");
        route.fulfill(json("""
                {"after": {"total_parameters": 1000000000, "routed_atoms": 10, "bytes": 2000000000}, "predicted_loss_change": 0.01,
                 "achieved": {"routed_atom_ratio": %s, "total_parameter_ratio": 0.2, "byte_ratio": 0.2, "min_width": 1, "max_width": 2},
                 "compatibility": [%s], "layers": %s}""".formatted(ratio, engine("vLLM") + ", " + engine("llama.cpp"), layers)));
    }

    private static String engine(String name) {
        return "{\"engine\": \"%s\", \"loads\": \"no\", \"needs\": null, \"why\": \"its experts have several widths\"}".formatted(name);
    }

    private interface Cell {
        String json(int layer, int expert);
    }

    private static String layers(Cell cell, String name, String more) {
        return IntStream.range(0, LAYERS).mapToObj(layer -> IntStream.range(0, EXPERTS).mapToObj(expert -> cell.json(layer, expert))
                .collect(Collectors.joining(",", "{\"layer\": " + layer + ", " + more + ", \"" + name + "\": [", "]}")))
                .collect(Collectors.joining(",", "[", "]"));
    }

    private static String job(String id) {
        return """
                {"id": "%s", "state": "succeeded", "terminal": true, "recipe": {"model": "big", "method": {"name": "heapr"}, "layout": "ragged",
                 "budget": {"ratio": 0.25, "ratio_of": "routed_atoms"}}, "created_at": %s,
                 "started_at": %s, "finished_at": %s, "phases": [], "percent": 100, "phase": "publish", "layer": null, "layers": null, "tokens_per_second": null,
                 "eta_seconds": null, "slices": 0, "slices_done": 0, "result": null, "error": null, "artifact": null, "artifacts": [], "score_set": null,
                 "links": {}}"""
                .replace("\n", "").formatted(id, AT, AT, AT);
    }

    private static void note(String line) throws IOException {
        Files.writeString(Chromium.PICTURES.resolve("figures.txt"), line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }
}

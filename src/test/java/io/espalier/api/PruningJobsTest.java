package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;

import io.espalier.Orders;
import io.espalier.job.JobError;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Violation;
import org.junit.jupiter.api.Test;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

@ApiTest
class PruningJobsTest {

    private static final String JOBS = "/v1/pruning-jobs";

    private final Api api;
    private final Runs runs;

    PruningJobsTest(@LocalServerPort int port, Runs runs) {
        api = new Api(port);
        this.runs = runs;
    }

    @Test
    void an_order_is_accepted_and_found_at_its_location() {
        Api.Answer answer = api.order(Posted.SHORTEST);

        assertThat(answer.status()).isEqualTo(202);
        JsonNode job = answer.json();
        assertThat(answer.header("Location")).isEqualTo(job.path("links").path("self").stringValue())
                .isEqualTo(JOBS + "/" + job.path("id").stringValue());
        assertThat(answer.header("Cache-Control")).isEqualTo("no-store");
        assertThat(job.path("state").stringValue()).isEqualTo("queued");
        assertThat(job.path("terminal").booleanValue()).isFalse();
        assertThat(job.at("/links/cancel").stringValue()).isEqualTo(answer.header("Location") + "/cancel");
        assertThat(job.at("/links/scores").isNull()).isTrue();
        Api.Answer found = api.get(answer.header("Location"));
        assertThat(found.json()).isEqualTo(job);
        assertThat(found.text()).as("fields in the order of the contract").startsWith("{\"id\":\"job_").contains("\"recipe\":{\"model\":");
    }

    @Test
    void an_order_is_answered_with_its_defaults_filled_in_and_can_be_posted_again() {
        JsonNode recipe = api.order(Posted.SHORTEST).json().path("recipe");

        assertThat(recipe.at("/method/name").stringValue()).isEqualTo("heapr");
        assertThat(recipe.at("/method/unrouted").stringValue()).isEqualTo("keep");
        assertThat(recipe.at("/calibration/sequence_length").intValue()).isEqualTo(2048);
        assertThat(recipe.path("layout").stringValue()).isEqualTo("ragged");
        assertThat(api.order(recipe.toString()).json().path("recipe")).isEqualTo(recipe);
    }

    @Test
    void every_field_of_an_order_arrives() {
        JsonNode recipe = api.order(Posted.COMPLETE).json().path("recipe");

        assertThat(recipe.at("/method/unrouted").stringValue()).isEqualTo("prune");
        assertThat(recipe.at("/method/scope").stringValue()).isEqualTo("layer");
        assertThat(recipe.at("/method/token_count_exponent").decimalValue()).isEqualByComparingTo("0.5");
        assertThat(recipe.at("/calibration/seed").longValue()).isEqualTo(-7);
        assertThat(recipe.at("/budget/ratio").decimalValue()).isEqualByComparingTo("0.25");
        assertThat(recipe.at("/budget/ratio_of").stringValue()).isEqualTo("bytes");
        assertThat(recipe.path("alignment").intValue()).isEqualTo(8);
        assertThat(recipe.path("allow_empty_experts").booleanValue()).isTrue();
        assertThat(recipe.at("/evaluation/random_control").booleanValue()).isFalse();
        assertThat(api.order(recipe.toString()).json().path("recipe")).isEqualTo(recipe);
    }

    @Test
    void every_layout_may_be_ordered_and_alignment_left_to_the_service() {
        for (String layout : List.of("ragged", "per_layer", "uniform", "experts")) {
            JsonNode recipe = api.order(Posted.SHORTEST.replaceFirst("\\{",
                    "{\"layout\": \"" + layout + "\", \"alignment\": \"auto\", \"tensor_parallel\": 4, ")).json().path("recipe");
            assertThat(recipe.path("layout").stringValue()).isEqualTo(layout);
            assertThat(recipe.path("alignment").stringValue()).isEqualTo("auto");
            assertThat(recipe.path("tensor_parallel").intValue()).isEqualTo(4);
            assertThat(api.order(recipe.toString()).json().path("recipe")).isEqualTo(recipe);
        }
    }

    @Test
    void further_outputs_arrive_with_their_defaults() {
        JsonNode recipe = api.order(Posted.SHORTEST.replaceFirst("\\{", """
                {"further_outputs": [{"layout": "uniform", "alignment": "auto"}, {"layout": "experts", "budget": {"ratio": 0.50}}],"""))
                .json()
                .path("recipe");
        assertThat(recipe.at("/further_outputs/0/alignment").stringValue()).isEqualTo("auto");
        assertThat(recipe.at("/further_outputs/0/tensor_parallel").intValue()).isEqualTo(1);
        assertThat(recipe.at("/further_outputs/1/budget/ratio").decimalValue()).isEqualByComparingTo("0.5");
        assertThat(recipe.at("/further_outputs/1/budget/ratio_of").stringValue()).isEqualTo("routed_atoms");
        assertThat(api.order(recipe.toString()).json().path("recipe")).isEqualTo(recipe);
    }

    @Test
    void a_method_and_a_corpus_may_be_given_by_name_alone() {
        JsonNode recipe = api.order("{\"model\": \"tiny-qwen2moe\", \"method\": \"magnitude\", \"budget\": {\"ratio\": 0.5}}").json()
                .path("recipe");

        assertThat(recipe.at("/method/name").stringValue()).isEqualTo("magnitude");
        assertThat(api.order(recipe.toString()).status()).as("also when most of it is null").isEqualTo(202);
    }

    @Test
    void a_list_shortens_inline_text_and_the_job_itself_does_not() {
        String text = "In the beginning ".repeat(1000);
        String id = api.ordered(Posted.SHORTEST.replace("In the beginning", text));

        assertThat(api.get(JOBS + "?limit=1").json().at("/items/0/recipe/calibration/corpus/text").stringValue()).hasSizeLessThan(100);
        assertThat(api.get(JOBS + "/" + id).json().at("/recipe/calibration/corpus/text").stringValue()).isEqualTo(text);
    }

    @Test
    void a_list_goes_page_by_page_from_the_newest() {
        List<String> ordered = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            ordered.addFirst(api.ordered(Posted.SHORTEST));
        }

        List<String> listed = new ArrayList<>();
        String cursor = "";
        do {
            JsonNode page = api.get(JOBS + "?limit=2" + cursor).json();
            page.path("items").forEach(job -> listed.add(job.path("id").stringValue()));
            cursor = page.path("next_cursor").isNull() ? null : "&cursor=" + page.path("next_cursor").stringValue();
        } while (cursor != null);

        assertThat(listed).startsWith(ordered.toArray(String[]::new)).doesNotHaveDuplicates();
    }

    @Test
    void a_list_can_be_of_one_state() {
        String waiting = api.ordered(Posted.SHORTEST);
        String running = api.ordered(Posted.SHORTEST);
        runs.start(running);

        JsonNode listed = api.get(JOBS + "?state=running&limit=200").json().path("items");
        assertThat(listed).extracting(job -> job.path("state").stringValue()).containsOnly("running");
        assertThat(listed).extracting(job -> job.path("id").stringValue()).contains(running).doesNotContain(waiting);
    }

    @Test
    void a_running_job_says_how_far_it_is() {
        String id = api.ordered(Posted.SHORTEST);
        runs.start(id);

        JsonNode job = api.get(JOBS + "/" + id).json();

        assertThat(job.path("percent").doubleValue()).isEqualTo(42.5);
        assertThat(job.path("phase").stringValue()).isEqualTo("calibrate");
        assertThat(job.path("layer").intValue()).isEqualTo(3);
        assertThat(job.path("layers").intValue()).isEqualTo(12);
        assertThat(job.path("tokens_per_second").doubleValue()).isEqualTo(1234.5);
        assertThat(job.path("eta_seconds").isNumber()).isTrue();
        assertThat(job.path("phases")).extracting(phase -> phase.path("phase").stringValue()).containsExactly("open", "calibrate");
        assertThat(job.at("/phases/0/finished_at").isString()).isTrue();
        assertThat(job.at("/phases/1/finished_at").isNull()).isTrue();
    }

    @Test
    void a_succeeded_job_shows_its_result_and_leads_to_its_artifact_and_scores() {
        String id = api.ordered(Posted.SHORTEST);
        String artifact = runs.succeed(id);

        JsonNode job = api.get(JOBS + "/" + id).json();

        assertThat(job.path("state").stringValue()).isEqualTo("succeeded");
        assertThat(job.path("terminal").booleanValue()).isTrue();
        assertThat(job.at("/result/perplexity/after").doubleValue()).isEqualTo(6.75);
        assertThat(job.at("/artifact/id").stringValue()).isEqualTo(artifact);
        assertThat(api.get(job.at("/artifact/href").stringValue()).status()).isEqualTo(200);
        assertThat(api.get(job.at("/links/scores").stringValue()).status()).isEqualTo(200);
        assertThat(job.at("/links/cancel").isNull()).isTrue();
    }

    @Test
    void a_failed_job_says_why_with_given_and_expected() {
        String id = api.ordered(Posted.SHORTEST);
        runs.fail(id, new JobError(ErrorCode.TOO_FEW_TOKENS, "calibration: 12 tokens (expected: at least 262144)",
                List.of(new Violation("calibration.sequences", "128", "at most 0 of 2048 tokens"))));

        JsonNode error = api.get(JOBS + "/" + id).json().path("error");

        assertThat(error.path("code").stringValue()).isEqualTo("too_few_tokens");
        assertThat(error.at("/violations/0/field").stringValue()).isEqualTo("calibration.sequences");
    }

    @Test
    void a_queued_job_is_cancelled_at_once_and_cancelling_again_changes_nothing() {
        String cancel = JOBS + "/" + api.ordered(Posted.SHORTEST) + "/cancel";

        Api.Answer first = api.post(cancel);
        Api.Answer again = api.post(cancel);

        assertThat(first.status()).isEqualTo(200);
        assertThat(first.json().path("state").stringValue()).isEqualTo("cancelled");
        assertThat(again.status()).isEqualTo(200);
        assertThat(again.json()).isEqualTo(first.json());
    }

    @Test
    void a_running_job_is_cancelling_until_its_worker_has_stopped() {
        String id = api.ordered(Posted.SHORTEST);
        runs.start(id);

        Api.Answer first = api.post(JOBS + "/" + id + "/cancel");
        Api.Answer again = api.post(JOBS + "/" + id + "/cancel");

        assertThat(first.status()).isEqualTo(202);
        assertThat(first.json().path("state").stringValue()).isEqualTo("cancelling");
        assertThat(first.json().path("terminal").booleanValue()).isFalse();
        assertThat(again.status()).isEqualTo(200);
    }

    @Test
    void a_job_that_has_ended_is_not_cancelled_any_more() {
        String id = api.ordered(Posted.SHORTEST);
        runs.succeed(id);

        Api.Answer answer = api.post(JOBS + "/" + id + "/cancel");

        assertThat(answer.status()).isEqualTo(409);
        assertThat(answer.code()).isEqualTo("job_finished");
        assertThat(answer.json().path("state").stringValue()).isEqualTo("succeeded");
    }

    @Test
    void a_job_that_has_ended_is_deleted_with_its_artifact_and_scores() {
        String id = api.ordered(Posted.SHORTEST);
        String artifact = runs.succeed(id);
        JsonNode job = api.get(JOBS + "/" + id).json();

        assertThat(job.at("/links/delete").stringValue()).isEqualTo(JOBS + "/" + id);
        Api.Answer deleted = api.send("DELETE", JOBS + "/" + id, null);

        assertThat(deleted.status()).isEqualTo(204);
        for (String gone : List.of(JOBS + "/" + id, JOBS + "/" + id + "/events", JOBS + "/" + id + "/pieces", JOBS + "/" + id + "/scores",
                "/v1/artifacts/" + artifact, "/v1/artifacts/" + artifact + "/files/config.json")) {
            assertThat(api.get(gone).status()).as(gone).isEqualTo(404);
        }
        assertThat(api.send("DELETE", JOBS + "/" + id, null).code()).as("again").isEqualTo("job_not_found");
    }

    @Test
    void a_deleted_job_leaves_the_scores_that_another_job_uses() {
        String measured = api.ordered(Posted.SHORTEST);
        runs.succeed(measured, ScoreBytes.file(), ScoreBytes.summary(), Runs.origin("d".repeat(64), "e".repeat(64)));
        String set = api.get(JOBS + "/" + measured).json().at("/score_set/id").stringValue();
        String later = api.ordered("{\"score_set\": \"" + set + "\", \"budget\": {\"ratio\": 0.25}}");

        assertThat(api.send("DELETE", JOBS + "/" + measured, null).status()).isEqualTo(204);

        assertThat(api.get("/v1/score-sets/" + set).json().path("job").isNull()).isTrue();
        assertThat(api.get(JOBS + "/" + later).json().at("/score_set/id").stringValue()).isEqualTo(set);
        assertThat(api.get("/v1/score-sets/" + set, "Accept", "application/vnd.safetensors").body()).isEqualTo(ScoreBytes.file());
        api.send("POST", JOBS + "/" + later + "/cancel", null);
        assertThat(api.send("DELETE", JOBS + "/" + later, null).status()).isEqualTo(204);
        assertThat(api.get("/v1/score-sets/" + set).code()).as("the last job took it along").isEqualTo("score_set_not_found");
    }

    @Test
    void a_job_that_has_not_ended_is_not_deleted() {
        String id = api.ordered(Posted.SHORTEST);
        Api.Answer waiting = api.send("DELETE", JOBS + "/" + id, null);
        api.post(JOBS + "/" + id + "/pause");
        Api.Answer paused = api.send("DELETE", JOBS + "/" + id, null);
        api.post(JOBS + "/" + id + "/resume");
        runs.start(id, 2);
        Api.Answer running = api.send("DELETE", JOBS + "/" + id, null);

        assertThat(List.of(waiting, paused, running)).extracting(Api.Answer::code).containsOnly("job_state");
        assertThat(List.of(waiting, paused, running)).extracting(answer -> answer.json().path("state").stringValue())
                .containsExactly("queued", "paused", "running");
        assertThat(api.get(JOBS + "/" + id).json().at("/links/delete").isNull()).isTrue();
    }

    @Test
    void the_pieces_of_a_job_say_who_works_at_them() {
        String id = api.ordered(Posted.SHORTEST);
        assertThat(api.get(JOBS + "/" + id + "/pieces").json().path("items")).extracting(piece -> piece.path("state").stringValue())
                .containsExactly("queued");
        runs.reports().opened(runs.start(id), Orders.slicing(3));

        JsonNode page = api.get(JOBS + "/" + id + "/pieces?limit=2").json();
        JsonNode rest = api.get(JOBS + "/" + id + "/pieces?after=" + page.path("next_after").intValue()).json();

        assertThat(page.path("items")).extracting(piece -> piece.path("kind").stringValue()).containsExactly("open", "slice");
        assertThat(page.at("/items/0/worker").stringValue()).isEqualTo("test");
        assertThat(page.at("/items/0/state").stringValue()).isEqualTo("done");
        assertThat(rest.path("items")).extracting(piece -> piece.path("number").intValue()).containsExactly(2, 3, 4);
        assertThat(rest.at("/items/2/state").stringValue()).isEqualTo("blocked");
        assertThat(api.get(JOBS + "/" + id + "/pieces?after=-2").code()).isEqualTo("invalid_request");
        assertThat(api.get(JOBS + "/" + id + "/pieces?after=4").json().path("next_after").intValue()).isEqualTo(4);
    }

    @Test
    void a_job_is_paused_resumed_cancelled_and_tried_again_and_asking_twice_changes_nothing() {
        String job = JOBS + "/" + api.ordered(Posted.SHORTEST);
        for (String[] step : new String[][]{{"pause", "paused"}, {"resume", "queued"}, {"cancel", "cancelled"}, {"retry", "queued"}}) {
            assertThat(api.post(job + "/" + step[0]).json().path("state").stringValue()).isEqualTo(step[1]);
            Api.Answer again = api.post(job + "/" + step[0]);
            assertThat(again.status()).isEqualTo(200);
            assertThat(again.json().path("state").stringValue()).isEqualTo(step[1]);
        }
    }

    @Test
    void a_verb_that_the_state_does_not_allow_is_refused_naming_it() {
        String id = api.ordered(Posted.SHORTEST);
        runs.succeed(id);
        for (String verb : List.of("pause", "resume", "retry")) {
            Api.Answer answer = api.post(JOBS + "/" + id + "/" + verb);
            assertThat(answer.status()).isEqualTo(409);
            assertThat(answer.code()).isEqualTo("job_state");
            assertThat(answer.json().path("state").stringValue()).isEqualTo("succeeded");
            assertThat(api.post(JOBS + "/job_none/" + verb).status()).isEqualTo(404);
        }
    }

    @Test
    void events_are_told_in_order_and_from_any_number_on() {
        String id = api.ordered(Posted.SHORTEST);
        runs.succeed(id);

        JsonNode all = api.get(JOBS + "/" + id + "/events").json();
        assertThat(all.path("items")).extracting(event -> event.path("type").stringValue())
                .startsWith("queued", "running", "piece_started", "phase_started")
                .contains("experts_unrouted").endsWith("succeeded");

        JsonNode first = api.get(JOBS + "/" + id + "/events?limit=2").json();
        assertThat(first.path("items")).hasSize(2);
        JsonNode rest = api.get(JOBS + "/" + id + "/events?after=" + first.path("next_after").longValue()).json();
        assertThat(rest.path("items").get(0)).isEqualTo(all.path("items").get(2));
        assertThat(rest.path("next_after")).isEqualTo(all.path("next_after"));
        JsonNode none = api.get(JOBS + "/" + id + "/events?after=" + all.path("next_after").longValue()).json();
        assertThat(none.path("items")).isEmpty();
        assertThat(none.path("next_after")).isEqualTo(all.path("next_after"));
    }

    @Test
    void a_job_that_is_not_there_is_not_found_at_any_of_its_addresses() {
        for (String id : List.of("job_0000000000000000000000000a", "nonsense", "job_%27%20or%201=1", "%F0%9F%8C%B3")) {
            for (String rest : List.of("", "/events", "/scores")) {
                assertThat(api.get(JOBS + "/" + id + rest).code()).as(id + rest).isEqualTo("job_not_found");
            }
            assertThat(api.post(JOBS + "/" + id + "/cancel").code()).isEqualTo("job_not_found");
        }
    }

    @Test
    void the_job_body_has_every_field_even_when_there_is_nothing_to_say() {
        ObjectNode job = (ObjectNode) api.order(Posted.SHORTEST).json();

        Contract.IT.root().at("/components/schemas/PruningJob/required").forEach(field -> assertThat(job.has(field.stringValue()))
                .as(field.stringValue()).isTrue());
    }
}

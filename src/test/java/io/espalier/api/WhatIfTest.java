package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;

import io.espalier.recipe.Budget;
import io.espalier.recipe.Layout;
import io.espalier.recipe.PruningRecipe;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.dao.DataIntegrityViolationException;
import org.springframework.jdbc.core.JdbcTemplate;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.util.RawValue;

@ApiTest
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class WhatIfTest {

    private static final String SETS = "/v1/score-sets";
    private static final byte[] FILE = ScoreBytes.file();
    private static final String ADDRESS = "7".repeat(64);

    private final Api api;
    private final Runs runs;
    private final JdbcTemplate jdbc;
    private String job;
    private String id;
    private String set;

    WhatIfTest(@LocalServerPort int port, Runs runs, JdbcTemplate jdbc) {
        api = new Api(port);
        this.runs = runs;
        this.jdbc = jdbc;
    }

    @BeforeAll
    void a_job_leaves_scores() {
        job = api.ordered(Posted.SHORTEST);
        runs.succeed(job, FILE, ScoreBytes.summary(), Runs.origin(ADDRESS, "c".repeat(64)));
        id = api.get("/v1/pruning-jobs/" + job).json().at("/score_set/id").stringValue();
        set = SETS + "/" + id;
    }

    private Api.Answer plan(String json) {
        return api.send("POST", set + "/plans", json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json");
    }

    private JsonNode planned(String json) {
        Api.Answer answer = plan(json);
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json();
    }

    @Test
    void a_score_set_says_where_it_comes_from_and_sums_itself_up() {
        JsonNode found = api.get(set).json();

        assertThat(found.path("address").stringValue()).isEqualTo(ADDRESS);
        assertThat(found.path("model").stringValue()).isEqualTo("tiny-qwen2moe");
        assertThat(found.at("/method/name").stringValue()).isEqualTo("heapr");
        assertThat(found.path("tokens").longValue()).isEqualTo(2048);
        assertThat(found.path("bytes").intValue()).isEqualTo(FILE.length);
        assertThat(found.at("/job/id").stringValue()).isEqualTo(job);
        assertThat(found.at("/summary/layers")).hasSize(2);
        assertThat(found.at("/summary/layers/1/experts/2/routed_tokens").longValue()).isZero();
        assertThat(found.at("/summary/layers/0").has("kept_atoms")).isFalse();
        assertThat(found.at("/summary/agreement/spearman").doubleValue()).isEqualTo(0.875);
        assertThat(api.get(found.at("/links/coverage").stringValue()).status()).isEqualTo(200);
        assertThat(api.get(found.at("/links/curve").stringValue()).status()).isEqualTo(200);
        assertThat(api.get("/v1/pruning-jobs/" + job + "/scores").json().at("/layers/0/kept_atoms").intValue()).isEqualTo(20);
    }

    @Test
    void its_file_is_sent_whole_or_in_a_range_with_its_digest() {
        Api.Answer whole = api.get(set, "Accept", "application/vnd.safetensors");

        assertThat(whole.body()).isEqualTo(FILE);
        assertThat(whole.header("ETag")).isEqualTo('"' + api.get(set).json().path("sha256").stringValue() + '"');
        Api.Answer part = api.get(set, "Accept", "application/octet-stream", "Range", "bytes=10-29");
        assertThat(part.status()).isEqualTo(206);
        assertThat(part.body()).isEqualTo(Arrays.copyOfRange(FILE, 10, 30));
        assertThat(api.get(set, "Accept", "application/vnd.safetensors", "If-None-Match", whole.header("ETag")).status()).isEqualTo(304);
        assertThat(api.get(set, "Accept", "application/vnd.safetensors", "Range", "bytes=99999999-").code())
                .isEqualTo("range_not_satisfiable");
    }

    @Test
    void score_sets_are_listed_newest_first_page_by_page() {
        List<String> ids = new ArrayList<>();
        String model = "?model=tiny-qwen2moe&method=heapr&limit=1";
        for (String next = ""; next != null;) {
            JsonNode page = api.get(SETS + model + next).json();
            page.path("items").forEach(item -> ids.add(item.path("id").stringValue()));
            assertThat(page.at("/items/0/summary").isNull()).isTrue();
            next = page.path("next_cursor").isNull() ? null : "&cursor=" + page.path("next_cursor").stringValue();
        }

        assertThat(ids).contains(id).doesNotHaveDuplicates().isSortedAccordingTo((a, b) -> b.compareTo(a));
        assertThat(api.get(SETS + "?model=another").json().path("items")).isEmpty();
        assertThat(api.get(SETS + "?method=random").json().path("items")).isEmpty();
        assertThat(api.get(SETS + "?method=best").violations()).containsOnlyKeys("method");
        assertThat(api.get(SETS + "?limit=0").violations()).containsOnlyKeys("limit");
        assertThat(api.get(SETS + "?cursor=nonsense").code()).isEqualTo("invalid_cursor");
        String ofJobs = Base64.getUrlEncoder().encodeToString(job.getBytes(StandardCharsets.UTF_8));
        assertThat(api.get(SETS + "?cursor=" + ofJobs).code()).isEqualTo("invalid_cursor");
    }

    @Test
    void coverage_names_the_experts_under_a_floor() {
        JsonNode coverage = api.get(set + "/coverage?floor=25").json();

        assertThat(coverage.path("under_floor").toString()).isEqualTo("[{\"layer\":3,\"expert\":2,\"routed_tokens\":0},"
                + "{\"layer\":3,\"expert\":1,\"routed_tokens\":10},{\"layer\":3,\"expert\":0,\"routed_tokens\":20}]");
        assertThat(coverage.path("min_routed_tokens").longValue()).isZero();
        assertThat(coverage.path("median_routed_tokens").doubleValue()).isEqualTo(25);
        assertThat(coverage.path("max_routed_tokens").longValue()).isEqualTo(100);
        assertThat(coverage.at("/layers/0/routed_tokens").toString()).isEqualTo("[100,50,30]");
        assertThat(coverage.at("/agreement/jaccard/0/jaccard").doubleValue()).isEqualTo(0.5);
        assertThat(api.get(set + "/coverage").json().path("under_floor")).hasSize(1);
        assertThat(api.get(set + "/coverage?floor=-1").violations()).containsOnlyKeys("floor");
    }

    @Test
    void a_plan_says_what_an_order_would_do() {
        JsonNode plan = planned("{\"budget\": {\"ratio\": 0.25}}");

        assertThat(plan.at("/before/routed_atoms").longValue()).isEqualTo(48);
        assertThat(plan.at("/after/routed_atoms").longValue()).isEqualTo(36);
        assertThat(plan.at("/after/total_parameters").longValue()).isEqualTo(ScoreBytes.PARAMETERS - 12 * 6);
        assertThat(plan.at("/after/bytes").longValue()).isEqualTo(ScoreBytes.BYTES - 12 * 12);
        assertThat(plan.at("/achieved/routed_atom_ratio").doubleValue()).isEqualTo(0.25);
        assertThat(plan.path("predicted_loss_change").doubleValue()).isPositive();
        assertThat(plan.at("/layers/1/layer").intValue()).isEqualTo(3);
        assertThat(plan.at("/layers/1/widths/2").intValue()).as("the expert that no token reached").isEqualTo(8);
        assertThat(plan.at("/layers/0/kept_atoms").intValue() + plan.at("/layers/1/kept_atoms").intValue()).isEqualTo(36);
    }

    @Test
    void budgets_and_protections_have_the_same_words_as_in_an_order() {
        JsonNode target = planned("{\"budget\": {\"target_bytes\": 1900}, \"protections\": {\"min_width\": 5, \"layers\": [1]}}");
        assertThat(target.at("/after/bytes").longValue()).isEqualTo(1892);
        assertThat(target.at("/achieved/requested_ratio").isNull()).isTrue();
        assertThat(target.at("/layers/0/widths").toString()).isEqualTo("[8,8,8]");
        assertThat(target.at("/achieved/min_width").intValue()).isGreaterThanOrEqualTo(5);
        JsonNode uniform = planned("{\"budget\": {\"target_parameters\": 900}, \"layout\": \"uniform\", \"alignment\": 2}");
        assertThat(uniform.at("/layers/0/widths").toString()).isEqualTo("[4,4,4]");
        JsonNode atoms = planned("{\"budget\": {\"ratio\": 0.7}, \"protections\": {\"experts\": [{\"layer\": 1, \"expert\": 0},"
                + " {\"layer\": 3, \"expert\": 2, \"atoms\": [0, 7]}]}, \"allow_empty_experts\": true}");
        assertThat(atoms.at("/layers/0/widths/0").intValue()).isEqualTo(8);
        assertThat(atoms.at("/layers/1/widths/2").intValue()).isGreaterThanOrEqualTo(2);
    }

    /** Engine by engine. */
    private static String loads(JsonNode plan) {
        return String.join(" ", plan.path("compatibility").valueStream().map(engine -> engine.path("loads").stringValue()).toList());
    }

    @Test
    void every_layout_can_be_asked_about_with_what_engines_ask_for() {
        JsonNode experts = planned("{\"budget\": {\"ratio\": 0.33}, \"layout\": \"experts\", \"alignment\": \"auto\"}");
        assertThat(experts.at("/after/routed_atoms").longValue()).isEqualTo(32);
        assertThat(experts.at("/after/total_parameters").longValue()).as("with the rows of the router")
                .isEqualTo(ScoreBytes.PARAMETERS - 16 * 6 - 2 * 2);
        assertThat(experts.at("/after/bytes").longValue()).isEqualTo(ScoreBytes.BYTES - 16 * 12 - 2 * 4);
        assertThat(experts.at("/achieved/removed_experts").intValue()).isEqualTo(2);
        assertThat(experts.at("/achieved/min_width").intValue()).isEqualTo(8);
        assertThat(loads(experts)).isEqualTo("stock stock stock stock needs");
        assertThat(loads(planned("{\"budget\": {\"ratio\": 0.33}}"))).isEqualTo("needs needs no no no");
        assertThat(experts.at("/layers/1/removed_experts")).hasSize(1);
        assertThat(experts.at("/recipe/alignment").stringValue()).as("as it was asked").isEqualTo("auto");
        JsonNode layers = planned("{\"budget\": {\"ratio\": 0.3}, \"layout\": \"per_layer\", \"alignment\": 2, \"tensor_parallel\": 2}");
        assertThat(layers.path("layers").valueStream().flatMap(layer -> layer.path("widths").valueStream()).map(JsonNode::intValue))
                .allMatch(width -> width % 4 == 0);
        assertThat(layers.at("/achieved/alignment").intValue()).isEqualTo(2);
        JsonNode spared = planned("{\"budget\": {\"target_bytes\": 1900}, \"layout\": \"per_layer\", \"protections\": {\"layers\": [1]}}");
        assertThat(spared.at("/layers/0/widths").toString()).isEqualTo("[8,8,8]");
        assertThat(spared.at("/after/bytes").longValue()).isEqualTo(ScoreBytes.BYTES - 3 * 3 * 12);
        JsonNode kept = planned("{\"budget\": {\"ratio\": 0.33}, \"layout\": \"experts\", \"protections\": {\"experts\": [{\"layer\": 3,"
                + " \"expert\": " + experts.at("/layers/1/removed_experts/0") + ", \"atoms\": [2]}]}}");
        assertThat(kept.at("/layers/1/removed_experts")).hasSize(1).isNotEqualTo(experts.at("/layers/1/removed_experts"));
        assertThat(kept.at("/layers/0")).isEqualTo(experts.at("/layers/0"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "{\"budget\": {\"ratio\": 0.99}}|budget.ratio|at most 0.875000, every expert keeps at least 1 atoms",
            "{\"budget\": {\"target_bytes\": 100}}|budget.target_bytes|at least 1496, every expert keeps at least 1 atoms",
            "{\"budget\": {\"target_parameters\": 1000}}|budget.target_parameters|less than 1000, what the model has before",
            "{\"budget\": {\"ratio\": 0.5}, \"alignment\": 16}|alignment|at most 8, the width of layer 1, expert 0",
            "{\"budget\": {\"ratio\": 0.5}, \"protections\": {\"layers\": [2]}}|protections.layers[0]|a layer with routed experts, one of 1, 3",
            "{\"budget\": {\"ratio\": 0.5}, \"layout\": \"uniform\", \"protections\": {\"layers\": [1]}}|layout|ragged or per_layer, because one width for all"
                    + " cannot spare protected layers or experts",
            "{\"budget\": {\"ratio\": 0.5, \"target_bytes\": 5}}|budget|exactly one of them",
            "{\"budget\": {\"target_bytes\": 5, \"ratio_of\": \"bytes\"}}|budget.ratio_of|absent, only a ratio is a share of something",
            "{\"budget\": {\"ratio\": 0.5}, \"model\": \"x\"}|model|absent; the fields here are budget, layout, alignment, tensor_parallel,"
                    + " allow_empty_experts, scope, protections",
            "{\"budget\": {\"ratio\": 0.5}, \"allow_empty_experts\": true, \"protections\": {\"min_width\": 2}}|allow_empty_experts|false, because"
                    + " protections.min_width lets no expert be empty",
            "{\"budget\": {\"ratio\": 0.5}, \"layout\": \"per_layer\", \"protections\": {\"experts\": [{\"layer\": 3, \"expert\": 1}]}}|layout|ragged"
                    + " or experts, because one width a layer cannot spare single experts of layer 3",
            "{\"budget\": {\"ratio\": 0.3}, \"layout\": \"experts\", \"protections\": {\"min_width\": 2}}|protections.min_width|absent, because layout"
                    + " experts takes whole experts and leaves the widths of the others as they are",
            "{\"budget\": {\"ratio\": 0.3}, \"layout\": \"experts\", \"protections\": {\"layers\": [1]}}|budget.ratio|at most 0.000000, of the 3"
                    + " experts of a layer at least 3 stay, because the protections keep 3 in one layer, and every layer keeps equally many",
            "{\"budget\": {\"ratio\": 0.3}, \"layout\": \"experts\", \"tensor_parallel\": 4}|tensor_parallel|a divisor of a number of experts from"
                    + " top_k 1 to the 3 of a layer"})
    void what_cannot_be_done_is_refused_with_what_can(String order, String field, String expected) {
        Api.Answer answer = plan(order);

        assertThat(answer.status()).as(answer.text()).isEqualTo(422);
        assertThat(answer.code()).isEqualTo("invalid_recipe");
        assertThat(answer.violations()).containsOnlyKeys(field);
        assertThat(answer.violations().get(field)).endsWith(" -> " + expected);
    }

    @Test
    void everything_that_is_wrong_with_a_question_is_said_at_once() {
        Api.Answer answer = plan(
                "{\"budget\": {\"ratio\": 2}, \"alignment\": 7, \"layout\": \"round\", \"protections\": {\"layers\": [\"x\", -1],"
                        + " \"min_width\": 0, \"experts\": [{\"layer\": 1}]}}");

        assertThat(answer.status()).isEqualTo(422);
        assertThat(answer.violations()).containsKeys("budget.ratio", "alignment", "layout", "protections.layers[0]",
                "protections.layers[1]", "protections.min_width",
                "protections.experts[0].expert");
        assertThat(plan("[").code()).isEqualTo("malformed_json");
        assertThat(plan("{}").violations()).containsOnlyKeys("budget");
        assertThat(api.send("POST", set + "/plans", "{}".getBytes(StandardCharsets.UTF_8), "Content-Type", "text/plain").status())
                .isEqualTo(415);
    }

    @Test
    void a_job_can_be_posted_from_a_plan() {
        JsonNode recipe = planned("{\"budget\": {\"ratio\": 0.25}, \"scope\": \"layer\", \"protections\": {\"min_width\": 2}}")
                .path("recipe");
        Api.Answer posted = api.order(recipe.toString());

        assertThat(posted.status()).as(posted.text()).isEqualTo(202);
        assertThat(posted.json().path("recipe")).isEqualTo(recipe);
        assertThat(recipe.at("/method/scope").stringValue()).isEqualTo("layer");
        assertThat(posted.json().at("/score_set/id").stringValue()).isEqualTo(id);
        assertThat(posted.json().at("/score_set/reused").booleanValue()).isTrue();
        assertThat(posted.json().at("/links/scores").isNull()).isTrue();
        assertThat(api.get("/v1/pruning-jobs/" + job).json().at("/score_set/reused").booleanValue()).isFalse();
    }

    @Test
    void an_order_on_scores_needs_neither_model_nor_method_nor_calibration() {
        String order = "{\"score_set\": \"" + id + "\", \"budget\": {\"ratio\": 0.25}";
        JsonNode recipe = api.order(order + "}").json().path("recipe");
        assertThat(recipe.path("model").stringValue()).isEqualTo("tiny-qwen2moe");
        assertThat(recipe.at("/method/name").stringValue()).isEqualTo("heapr");
        assertThat(api.order(order + ", \"method\": \"heapr\"}").status()).isEqualTo(202);
        assertThat(api.order(order + ", \"method\": {\"scope\": \"expert\"}}").json().at("/recipe/method/scope").stringValue())
                .isEqualTo("expert");

        assertThat(api.order(order + ", \"method\": \"random\"}").violations()).containsKey("method");
        assertThat(api.order(order + ", \"method\": {\"token_count_exponent\": 1}}").violations()).containsOnlyKeys("method");
        assertThat(api.order(order + ", \"calibration\": {\"corpus\": \"kjv-train\"}}").violations())
                .containsOnlyKeys("calibration.corpus");
        assertThat(api.order(order.replace(id, "scr_0") + "}").violations().keySet()).contains("score_set");
        assertThat(api.order(order.replace("\"" + id + "\"", "7") + "}").violations()).containsKey("score_set");
    }

    @Test
    void scores_that_go_while_they_are_ordered_are_missed_at_the_end_of_the_transaction() {
        PruningRecipe late = new PruningRecipe("tiny-qwen2moe", null, null, new Budget(new BigDecimal("0.5"), null), null, null, null, null,
                null, null, null, null, null, null, "scr_gone");

        // Problems makes a violation of it
        assertThatThrownBy(() -> runs.jobs().submit(late, io.espalier.Orders.inputs())).isInstanceOf(DataIntegrityViolationException.class)
                .hasMessageContaining("score_set_id_fkey");
    }

    @Test
    void the_curve_goes_from_nothing_to_all_that_can_go_in_each_layout() {
        JsonNode curves = api.get(set + "/curve?points=11").json();

        assertThat(curves.path("layouts")).hasSize(Layout.values().length);
        JsonNode ragged = curves.at("/layouts/0/points");
        assertThat(ragged).hasSize(9);
        assertThat(ragged.get(0).path("total_parameters").longValue()).isEqualTo(ScoreBytes.PARAMETERS);
        assertThat(ragged.get(0).path("predicted_loss_change").doubleValue()).isZero();
        for (int i = 1; i < ragged.size(); i++) {
            JsonNode plan = planned("{\"budget\": {\"ratio\": " + ragged.get(i).path("ratio") + "}}");
            assertThat(ragged.get(i).path("bytes")).isEqualTo(plan.at("/after/bytes"));
            assertThat(ragged.get(i).path("predicted_loss_change")).isEqualTo(plan.path("predicted_loss_change"));
        }
        for (JsonNode layout : curves.path("layouts")) {
            for (JsonNode point : layout.path("points")) {
                if (!point.path("ratio").decimalValue().equals(BigDecimal.ZERO)) {
                    JsonNode plan = planned(
                            "{\"budget\": {\"ratio\": " + point.path("ratio") + "}, \"layout\": " + layout.path("layout") + "}");
                    assertThat(point.path("bytes")).as(layout.path("layout").stringValue()).isEqualTo(plan.at("/after/bytes"));
                    assertThat(point.path("removed_experts")).isEqualTo(plan.at("/achieved/removed_experts"));
                    assertThat(point.path("min_width")).isEqualTo(plan.at("/achieved/min_width"));
                }
            }
        }
        assertThat(api.get(set + "/curve?layout=per_layer&alignment=auto&tensor_parallel=4").json().at("/layouts/0/points/100")
                .isMissingNode())
                .isTrue();
        JsonNode uniform = api.get(set + "/curve?layout=uniform&alignment=4&ratio_of=bytes&scope=layer").json().path("layouts");
        assertThat(uniform).hasSize(1);
        assertThat(uniform.at("/0/points/1/max_width").intValue()).isEqualTo(4);
    }

    @ParameterizedTest
    @ValueSource(strings = {"points=1", "points=x", "points=2000", "alignment=3", "alignment=512", "layout=round", "ratio_of=experts",
            "scope=world", "alignment=1.0", "tensor_parallel=0", "tensor_parallel=65"})
    void a_parameter_of_a_curve_that_cannot_be_is_named(String parameter) {
        Api.Answer answer = api.get(set + "/curve?" + parameter);

        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.violations()).containsOnlyKeys(parameter.substring(0, parameter.indexOf('=')));
    }

    @Test
    void a_set_that_is_not_there_is_not_found_anywhere() {
        for (String path : List.of("", "/coverage", "/curve")) {
            assertThat(api.get(SETS + "/scr_0" + path).code()).isEqualTo("score_set_not_found");
        }
        assertThat(api.get(SETS + "/scr_0", "Accept", "application/vnd.safetensors").status()).isEqualTo(404);
        assertThat(
                api.send("POST", SETS + "/scr_0/plans", "{}".getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json").code())
                .isEqualTo("score_set_not_found");
    }

    @Test
    void a_set_of_an_older_version_can_be_fetched_but_not_planned_from() {
        String older = api.ordered(Posted.SHORTEST);
        runs.succeed(older);
        String old = api.get("/v1/pruning-jobs/" + older).json().at("/score_set/href").stringValue();
        jdbc.update("update score_set set address = null, origin = null where id = ?", old.substring(old.lastIndexOf('/') + 1));

        JsonNode found = api.get(old).json();
        assertThat(found.path("address").isNull()).isTrue();
        assertThat(found.at("/links/plans").isNull()).isTrue();
        assertThat(found.at("/method/name").stringValue()).isEqualTo("heapr");
        assertThat(api.get(old, "Accept", "application/vnd.safetensors").body()).isEqualTo(Runs.SCORES);
        assertThat(api.get(old + "/curve").code()).isEqualTo("scores_outdated");
        assertThat(api.get(old + "/coverage").status()).isEqualTo(200);
        String id = old.substring(old.lastIndexOf('/') + 1);
        assertThat(api.order("{\"score_set\": \"" + id + "\", \"model\": \"tiny-qwen2moe\", \"budget\": {\"ratio\": 0.5}}").violations())
                .containsOnlyKeys("score_set");
    }

    @Test
    void no_value_in_any_place_of_a_question_is_answered_with_our_failure() {
        String[] values = {"null", "[]", "{}", "\"\"", "-1", "0", "1e29", "1e-29", "true", "[{}]", "[[1]]", "9223372036854775807", "8.0",
                "[1, 1]", "[4294967297]", "[{\"layer\": 1, \"expert\": 1, \"atoms\": [1.5]}]", "[{\"layer\": null, \"expert\": 0}]"};
        String question = "{\"budget\": {\"ratio\": 0.5}, \"layout\": \"ragged\", \"alignment\": 2, \"allow_empty_experts\": false, \"scope\":"
                + " \"global\", \"protections\": {\"min_width\": 2, \"layers\": [], \"experts\": []}}";
        for (String pointer : List.of("budget", "budget/ratio", "budget/ratio_of", "budget/target_bytes", "budget/target_parameters",
                "layout",
                "alignment", "allow_empty_experts", "scope", "protections", "protections/min_width", "protections/layers",
                "protections/experts")) {
            for (String value : values) {
                JsonNode body = JsonMapper.shared().readTree(question);
                String parent = pointer.contains("/") ? "/" + pointer.substring(0, pointer.indexOf('/')) : "";
                ((ObjectNode) body.at(parent)).putRawValue(pointer.substring(pointer.indexOf('/') + 1),
                        new RawValue(value));
                assertThat(plan(body.toString()).status()).as(pointer + " = " + value).isIn(200, 422);
            }
        }
    }
}

package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.test.web.server.LocalServerPort;

/** What a stranger may post by mistake or on purpose, and what he is told. */
@ApiTest
class BadOrdersTest {

    private static final Path ROOT = Path.of("target", "api-test", "root").toAbsolutePath();
    private static final Path OUTSIDE = Path.of("target", "api-test", "outside.txt").toAbsolutePath();

    private final Api api;

    BadOrdersTest(@LocalServerPort int port) {
        api = new Api(port);
    }

    @BeforeAll
    static void a_root_with_a_text_and_a_link_that_leads_out() throws IOException {
        Files.createDirectories(ROOT.resolve("model"));
        Files.writeString(ROOT.resolve("inside.txt"), "In the beginning");
        Files.writeString(OUTSIDE, "secret");
        Files.deleteIfExists(ROOT.resolve("link.txt"));
        Files.createSymbolicLink(ROOT.resolve("link.txt"), OUTSIDE);
    }

    @Test
    void an_unknown_field_is_refused_and_the_known_ones_are_named() {
        Api.Answer answer = refused(
                "{\"model\": \"tiny-qwen2moe\", \"method\": \"random\", \"budget\": {\"ratio\": 0.5, \"ratoi\": 1}, \"lr\": [1]}");

        assertThat(answer.violations()).containsOnlyKeys("budget.ratoi", "lr");
        assertThat(answer.violations().get("budget.ratoi"))
                .isEqualTo("1 -> absent; the fields here are ratio, ratio_of, target_parameters, target_bytes");
        assertThat(answer.violations().get("lr")).startsWith("an array -> absent; the fields here are model, method");
    }

    @ParameterizedTest
    @ValueSource(strings = {"9223372036854775807.000000001", "-9223372036854775808.5", "9223372036854775808", "1e29", "1.5"})
    void a_seed_that_is_no_integer_of_64_bits_is_refused(String seed) {
        Api.Answer answer = refused(Posted.COMPLETE.replace("-7", seed));

        assertThat(answer.violations()).containsOnlyKeys("calibration.seed");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"0|0", "1|1", "-1|-1", "1.5|1.5", "\"0.5\"|\"0.5\"", "null|null", "true|true", "[0.5]|an array",
            "{}|an object",
            "1e999999999|1E+999999999", "1e-999999999|1E-999999999",
            "0.9999999999999999999999999999999999|0.9999999999999999999999999999999999",
            "123456789012345678901234567890|123456789012345678901234567890"})
    void a_ratio_has_to_be_a_number_between_0_and_1(String ratio, String given) {
        Api.Answer answer = refused(Posted.SHORTEST.replace("0.25", ratio));

        assertThat(answer.violations()).containsOnlyKeys("budget.ratio");
        assertThat(answer.violations().get("budget.ratio")).startsWith(given + " -> a number ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"NaN", "Infinity", "-Infinity", "00.5", ".5", "0x1", "0.5.5",
            "0.25}, \"budget\": {\"ratio\": 0.3"})
    void what_json_does_not_know_is_malformed(String ratio) {
        Api.Answer answer = api.order(Posted.SHORTEST.replace("0.25", ratio));

        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.code()).isEqualTo("malformed_json");
        assertThat(answer.json().path("detail").stringValue()).startsWith("line 1, column ").doesNotContain("jackson", "Source:");
    }

    @Test
    void a_number_beyond_all_measure_is_malformed() {
        assertThat(api.order(Posted.SHORTEST.replace("0.25", "1e99999999999")).code()).isEqualTo("malformed_json");
        assertThat(api.order(Posted.SHORTEST.replace("0.25", "1".repeat(5000))).code()).isEqualTo("malformed_json");
    }

    @Test
    void a_whole_number_may_be_written_with_a_point_or_an_exponent() {
        assertThat(api.order(Posted.COMPLETE.replace("\"sequences\": 4", "\"sequences\": 4.0")).json().at("/recipe/calibration/sequences")
                .intValue())
                .isEqualTo(4);
        assertThat(api.order(Posted.COMPLETE.replace("\"sequence_length\": 32", "\"sequence_length\": 1e3")).status()).isEqualTo(202);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "{", "}", "{\"model\"}", "nul", "{} {}", "{\"model\": \"a\", \"model\": \"b\"}", "'x'",
            "{\"a\": \"\u0001\"}", "\uFEFF"})
    void a_body_that_is_no_json_is_malformed(String body) {
        Api.Answer answer = api.order(body);

        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.code()).isEqualTo("malformed_json");
    }

    @ParameterizedTest
    @ValueSource(strings = {"[]", "null", "3", "\"x\"", "true", "[{}]"})
    void a_body_that_is_no_object_is_refused(String body) {
        assertThat(refused(body).violations()).containsOnlyKeys("");
    }

    @Test
    void nesting_without_end_is_malformed() {
        Api.Answer answer = api.order("{\"model\":" + "[".repeat(100_000) + "]".repeat(100_000) + "}");

        assertThat(answer.code()).isEqualTo("malformed_json");
    }

    @Test
    void a_body_in_broken_utf_8_is_malformed() {
        byte[] body = "{\"model\": \"x\"}".getBytes(StandardCharsets.US_ASCII);
        body[11] = (byte) 0xff;
        assertThat(api.send("POST", "/v1/pruning-jobs", body, "Content-Type", "application/json").code()).isEqualTo("malformed_json");
    }

    @Test
    void what_is_missing_is_said() {
        assertThat(refused("{}").violations()).containsOnlyKeys("model", "budget", "calibration");
        assertThat(refused("{\"model\": \"tiny-qwen2moe\", \"method\": \"random\", \"budget\": {}}").violations())
                .containsExactly(Map.entry("budget.ratio",
                        "null -> more than 0 and less than 1; or target_parameters or target_bytes in its place"));
    }

    @Test
    void every_further_output_is_judged_by_its_place() {
        assertThat(refused(Posted.SHORTEST.replaceFirst("\\{", """
                {"further_outputs": [{"layout": "uniform"}, {"layout": "experts", "alignment": 8, "tensor_parallel": 99}, {"alignment": 4},
                 {"layout": "square"}, 7, {"layout": "ragged", "width": 3, "budget": {"ratio": 2}}],""")).violations()).containsOnlyKeys(
                "further_outputs[1].alignment", "further_outputs[1].tensor_parallel", "further_outputs[2].layout",
                "further_outputs[3].layout",
                "further_outputs[4]", "further_outputs[5].width", "further_outputs[5].budget.ratio");
        assertThat(refused(Posted.SHORTEST.replaceFirst("\\{",
                "{\"further_outputs\": [" + "{\"layout\": \"uniform\"}, ".repeat(8) + "{\"layout\": \"uniform\"}], ")).violations())
                .containsOnlyKeys("further_outputs");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "\"layout\": \"experts\", \"alignment\": 8|alignment|8 -> 1 or auto, because layout experts leaves the widths as they are",
            "\"layout\": \"experts\", \"allow_empty_experts\": true|allow_empty_experts|true -> false, because layout experts removes whole experts, router rows and all",
            "\"layout\": \"experts\", \"method\": {\"name\": \"heapr\", \"scope\": \"expert\"}|method.scope|expert -> global or layer, because layout experts ranks whole experts",
            "\"layout\": \"per_layer\", \"method\": \"frequency\"|layout|per_layer -> ragged or experts, because frequency ranks whole experts and per_layer keeps every expert",
            "\"layout\": \"uniform\", \"method\": \"frequency\"|layout|uniform -> ragged or experts, because frequency ranks whole experts and uniform keeps every expert",
            "\"tensor_parallel\": 0|tensor_parallel|0 -> an integer from 1 to 64",
            "\"tensor_parallel\": 65|tensor_parallel|65 -> an integer from 1 to 64",
            "\"tensor_parallel\": \"two\"|tensor_parallel|\"two\" -> an integer from 1 to 64"})
    void what_cannot_go_with_a_layout_is_said(String fields, String field, String violation) {
        assertThat(refused(Posted.SHORTEST.replaceFirst("\\{", "{" + fields + ", ")).violations())
                .containsExactly(Map.entry(field, violation));
    }

    @ParameterizedTest
    @ValueSource(strings = {"7", "0", "-8", "512", "3.5", "\"8\"", "null"})
    void an_alignment_has_to_be_a_power_of_two(String alignment) {
        assertThat(refused(Posted.COMPLETE.replace("\"alignment\": 8", "\"alignment\": " + alignment)).violations())
                .containsExactly(Map.entry("alignment", alignment + " -> one of auto, 1, 2, 4, 8, 16, 32, 64, 128, 256"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"\"sequences\": 4|\"sequences\": 0|calibration.sequences",
            "\"sequences\": 4|\"sequences\": 4.5|calibration.sequences",
            "\"sequences\": 4|\"sequences\": 99999999999|calibration.sequences",
            "\"sequence_length\": 32|\"sequence_length\": 1|calibration.sequence_length",
            "\"seed\": -7|\"seed\": 9223372036854775808|calibration.seed", "\"seed\": -7|\"seed\": 1e30|calibration.seed",
            "\"windows\": 2|\"windows\": \"2\"|evaluation.windows",
            "\"random_control\": false|\"random_control\": \"no\"|evaluation.random_control",
            "\"allow_empty_experts\": true|\"allow_empty_experts\": 1|allow_empty_experts",
            "\"layout\": \"uniform\"|\"layout\": \"UNIFORM\"|layout",
            "\"layout\": \"uniform\"|\"layout\": null|layout", "\"ratio_of\": \"bytes\"|\"ratio_of\": \"tensors\"|budget.ratio_of",
            "\"name\": \"heapr\"|\"name\": \"sparsegpt\"|method.name", "\"unrouted\": \"prune\"|\"unrouted\": 3|method.unrouted",
            "\"token_count_exponent\": 0.5|\"token_count_exponent\": 1.01|method.token_count_exponent",
            "\"model\": \"tiny-qwen2moe\"|\"model\": 3|model", "\"model\": \"tiny-qwen2moe\"|\"model\": \"\"|model",
            "\"model\": \"tiny-qwen2moe\"|\"model\": \" \"|model", "\"model\": \"tiny-qwen2moe\"|\"model\": \"a\\u0000b\"|model",
            "\"model\": \"tiny-qwen2moe\"|\"model\": \"\\ud800\"|model", "In the beginning|In the\\u0000beginning|calibration.corpus.text",
            "In the beginning|In the \\udc00|calibration.corpus.text", "In the beginning||calibration.corpus.text"})
    void a_field_of_the_wrong_type_or_size_is_named_alone(String right, String wrong, String field) {
        assertThat(refused(Posted.COMPLETE.replace(right, wrong == null ? "" : wrong)).violations()).containsOnlyKeys(field);
    }

    @Test
    void a_path_outside_the_roots_is_refused() {
        assertThat(refusedText("/etc/passwd")).contains("under one of the roots");
        assertThat(refusedText(OUTSIDE.toString())).contains("under one of the roots");
        assertThat(refusedText(ROOT + "-beside/x.txt")).contains("under one of the roots");
    }

    @Test
    void a_path_that_climbs_is_refused() {
        assertThat(refusedText(ROOT + "/../outside.txt")).contains("without ..");
        assertThat(refusedText(ROOT + "/model/../inside.txt")).contains("without ..");
        assertThat(refusedText("inside.txt")).contains("an absolute path");
    }

    @Test
    void a_symbolic_link_that_leads_out_is_refused_like_what_does_not_exist() {
        String link = refusedText(ROOT + "/link.txt").replace("link.txt", "X");
        String none = refusedText(ROOT + "/none.txt").replace("none.txt", "X");

        assertThat(link).isEqualTo(none);
    }

    @Test
    void a_directory_is_no_text_and_a_text_is_no_model() {
        assertThat(refusedText(ROOT + "/model")).contains("a regular file");
        assertThat(refused(Posted.SHORTEST.replace("tiny-qwen2moe", ROOT + "/inside.txt")).violations().get("model"))
                .contains("a directory");
    }

    @Test
    void a_text_under_a_root_is_taken() {
        assertThat(api.order(text(ROOT + "/inside.txt")).status()).isEqualTo(202);
    }

    @Test
    void a_name_that_nobody_registered_is_refused_with_those_that_are() {
        assertThat(refused(Posted.SHORTEST.replace("tiny-qwen2moe", "gpt-5")).violations().get("model")).startsWith("gpt-5 -> ")
                .contains("tiny-qwen2moe");
        assertThat(refused(Posted.SHORTEST.replace("{\"text\": \"In the beginning\"}", "\"none\"")).violations())
                .containsOnlyKeys("calibration.corpus.name");
    }

    @Test
    void a_corpus_is_one_of_name_path_and_text() {
        assertThat(refused(Posted.SHORTEST.replace("{\"text\":", "{\"name\": \"demo\", \"text\":")).violations().get("calibration.corpus"))
                .isEqualTo("2 of name, path and text -> exactly one of them");
        assertThat(refused(Posted.SHORTEST.replace("{\"text\": \"In the beginning\"}", "{}")).violations())
                .containsOnlyKeys("calibration.corpus");
        assertThat(refused(Posted.SHORTEST.replace("{\"text\":", "{\"field\": \"t\", \"text\":")).violations())
                .containsOnlyKeys("calibration.corpus.field");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"{\"name\": \"magnitude\", \"unrouted\": \"keep\"}|method.unrouted",
            "{\"name\": \"heapr\", \"seed\": 1}|method.seed",
            "{\"name\": \"random\", \"token_count_exponent\": 0.5}|method.token_count_exponent",
            "{\"name\": \"frequency\", \"scope\": \"expert\"}|method.scope"})
    void an_option_that_the_method_does_not_have_is_refused(String method, String field) {
        assertThat(refused(Posted.SHORTEST.replaceFirst(",", ", \"method\": " + method + ",")).violations()).containsOnlyKeys(field);
    }

    @Test
    void everything_that_is_wrong_is_said_at_once() {
        Api.Answer answer = refused(
                """
                        {"model": "/etc", "method": {"name": "random", "unrouted": "keep", "gamma": 1}, "budget": {"ratio": 1.5, "ratio_of": "atoms"},
                         "alignment": 7, "layout": "square", "surprise": {},
                         "evaluation": {"corpus": {"path": "/etc/passwd"}, "windows": 0}}""");

        assertThat(answer.violations()).containsOnlyKeys("model", "method.unrouted", "method.gamma", "budget.ratio", "budget.ratio_of",
                "alignment", "layout",
                "surprise", "evaluation.corpus.path", "evaluation.windows");
        assertThat(answer.json().path("detail").stringValue()).startsWith("10 violations; ")
                .contains("budget.ratio: 1.5 (expected: a number more than 0");
    }

    @Test
    void an_unknown_method_is_not_blamed_for_what_hangs_on_it() {
        assertThat(refused("{\"model\": \"tiny-qwen2moe\", \"method\": {\"name\": \"x\", \"seed\": 1}, \"budget\": {\"ratio\": 0.5}}")
                .violations())
                .containsOnlyKeys("method.name");
        assertThat(refused("{\"model\": \"tiny-qwen2moe\", \"method\": \"x\", \"budget\": {\"ratio\": 0.5}}").violations())
                .containsOnlyKeys("method");
    }

    @Test
    void a_flood_of_fields_is_not_answered_with_a_flood_of_violations() {
        StringBuilder many = new StringBuilder("{");
        for (int i = 0; i < 500; i++) {
            many.append("\"f").append(i).append("\": 1, ");
        }
        Api.Answer some = refused(many + "\"model\": \"m\"}");
        assertThat(some.json().path("violations")).hasSizeGreaterThan(500);
        assertThat(some.json().path("detail").stringValue()).hasSizeLessThan(5000).endsWith("; ...");

        assertThat(api.order("{\"a\": [" + "1,".repeat(1_000_000) + "1]}").code()).isEqualTo("malformed_json");
    }

    @Test
    void a_body_over_the_limit_is_refused_whether_or_not_its_length_is_known() {
        String body = Posted.SHORTEST.replace("In the beginning", "x".repeat(9 << 20));

        assertThat(api.order(body).code()).isEqualTo("body_too_large");
        assertThat(api.chunked("/v1/pruning-jobs", body).code()).isEqualTo("body_too_large");
    }

    @Test
    void a_text_just_under_the_limit_is_taken() {
        assertThat(api.order(Posted.SHORTEST.replace("In the beginning", "x".repeat(8_000_000))).status()).isEqualTo(202);
    }

    private Api.Answer refused(String order) {
        Api.Answer answer = api.order(order);
        assertThat(answer.status()).as(answer.text()).isEqualTo(422);
        assertThat(answer.code()).isEqualTo("invalid_recipe");
        return answer;
    }

    private String refusedText(String path) {
        Api.Answer answer = refused(text(path));
        assertThat(answer.violations()).containsOnlyKeys("calibration.corpus.path");
        return answer.violations().get("calibration.corpus.path");
    }

    private static String text(String path) {
        return Posted.SHORTEST.replace("{\"text\": \"In the beginning\"}", "{\"path\": \"" + path + "\"}");
    }
}

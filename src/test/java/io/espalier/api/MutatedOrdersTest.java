package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;

import org.junit.jupiter.api.Test;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.util.RawValue;

/** Orders that nobody thought of: whatever is posted, the fault is never ours. */
@ApiTest
class MutatedOrdersTest {

    private final Api api;

    MutatedOrdersTest(@LocalServerPort int port) {
        api = new Api(port);
    }

    @Test
    void no_mutation_of_an_order_is_answered_with_our_failure() {
        Random random = new Random(20250922);
        String[] shards = {"\"", "{", "}", "[", "]", ",", ":", "null", "NaN", "-", "0", "1e400", "\\u0000", "\\ud800", "é", "/../", "true",
                "\u0000", "''", "9".repeat(40)};
        for (int i = 0; i < 200; i++) {
            StringBuilder order = new StringBuilder(i % 2 == 0 ? Posted.COMPLETE : Posted.SHORTEST);
            for (int n = random.nextInt(1, 4); n > 0; n--) {
                int at = random.nextInt(order.length());
                switch (random.nextInt(4)) {
                    case 0 -> order.deleteCharAt(at);
                    case 1 -> order.insert(at, shards[random.nextInt(shards.length)]);
                    case 2 -> order.setCharAt(at, (char) random.nextInt(0x20, 0x250));
                    default ->
                        order.replace(at, Math.min(order.length(), at + random.nextInt(1, 12)), shards[random.nextInt(shards.length)]);
                }
            }
            assertThat(api.order(order.toString()).status()).as(order.toString()).isIn(202, 400, 422);
        }
    }

    @Test
    void no_value_in_any_place_is_answered_with_our_failure() {
        String[] values = {"null", "[]", "{}", "\"\"", "\"x\"", "-1", "0", "1e29", "1e-29", "true", "\"\\u0000\"", "[{}]",
                "{\"a\": {\"b\": null}}",
                "9223372036854775807", "-9223372036854775809", "0.00000000000000000000000000001", "8.0"};
        JsonMapper json = JsonMapper.shared();
        for (String pointer : new String[]{"model", "method", "method/name", "method/unrouted", "method/scope",
                "method/token_count_exponent", "method/seed",
                "calibration", "calibration/corpus", "calibration/corpus/text", "calibration/corpus/name", "calibration/corpus/path",
                "calibration/corpus/field", "calibration/sequences", "calibration/sequence_length", "calibration/seed", "budget",
                "budget/ratio",
                "budget/ratio_of", "layout", "alignment", "tensor_parallel", "allow_empty_experts", "evaluation", "evaluation/corpus",
                "evaluation/windows",
                "evaluation/sequence_length", "evaluation/random_control"}) {
            for (String value : values) {
                JsonNode order = json.readTree(Posted.COMPLETE);
                String parent = pointer.contains("/") ? "/" + pointer.substring(0, pointer.lastIndexOf('/')) : "";
                ((ObjectNode) order.at(parent)).putRawValue(pointer.substring(pointer.lastIndexOf('/') + 1),
                        new RawValue(value));
                assertThat(api.order(order.toString()).status()).as(pointer + " = " + value).isIn(202, 422);
            }
        }
    }
}

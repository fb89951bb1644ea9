package io.espalier.api;

import java.math.BigDecimal;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import tools.jackson.databind.JsonNode;

/** Values that a place does not expect: as JSON text for a body, as encoded text for an address, as they are for a header. */
final class Oddities {

    private static final int MEGABYTE = 1 << 20;

    /** JSON texts that every place gets, by what they are. */
    private static final Map<String, String> EVERYWHERE = new LinkedHashMap<>();
    /** Texts that stand for themselves in an address or a header, encoded. */
    private static final List<String> ENCODED = List.of("", "x", "null", "true", "0", "-1", "1", "1.5", "1e3", "1e400", "2147483648",
            "9223372036854775807", "9223372036854775808", "-9223372036854775809", "NaN", "%00", "%0A", "%0D%0AX-Injected:%201", "%20",
            "+", "%E2%80%AEabc", "%F0%9F%8C%B3", "%C3%A9%CC%81%CC%81%CC%81", "%ED%A0%80", "%C0%AE%C0%AE", "%FF", "'%20or%201=1--",
            "%25s%25n", "..%5C..%5Cetc", "%7B%7D", "%5B%5D", "*", "a,b", "job_x", "scr_x", "art_x", "9".repeat(300), "a".repeat(3000));
    /** What no address can be decoded from, or what is taken for another one. */
    private static final List<String> ODD_ADDRESS = List.of("%2F", "a%2Fb", "%2e%2e", "..", ".", "%zz", "%", ";x=1", "a;b=c", "..;", "{}",
            "\"",
            "<x>", "|", "a\\b", "%252e%252e%252f", "é", "\u0001");

    static {
        List.of("null", "true", "false", "0", "-1", "1", "8.0", "1.5", "1e2", "-0", "0.1000000000000000055511151231257827", "1e29", "1e-29",
                "1e400",
                "-1e400", "1e-400", "1e999999999999", "2147483647", "2147483648", "-2147483649", "9223372036854775807",
                "9223372036854775808",
                "-9223372036854775809", "NaN", "Infinity", "0x10", "01", ".5", "\"\"", "\" \"", "\"x\"", "\"1\"", "\"true\"", "\"null\"",
                "[]",
                "{}", "[null]", "[[]]", "[{}]", "{\"\": 1}", "{\"a\": {\"b\": null}}", "\"\\u0000\"", "\"a\\u0000b\"", "\"\\ud800\"",
                "\"\\udc00\\ud800\"", "\"\\u202eabc\\u200f\"", "\"\uD83C\uDF33\uD83D\uDC69\u200D\uD83D\uDE80\"",
                "\"é\u0301\u0301\u0301\u0301\"",
                "\"\uFEFF\"", "\"\\n\\t\\r\"", "\"../../../etc/passwd\"", "\"/etc/passwd\"", "\"file:///etc/passwd\"",
                "\"http://169.254.169.254/latest/meta-data\"", "\"http://[::1]:5432/\"", "\"' or 1=1 --\"", "\"%s%n%x\"",
                "\"${jndi:ldap://x/y}\"", "\"{{7*7}}\"", "\"\\x41\"", "\"\u0001\"", "'x'", "x")
                .forEach(json -> EVERYWHERE.put(json.length() > 40 ? json.substring(0, 40) : json, json));
        EVERYWHERE.put("400 digits", "9".repeat(400));
        EVERYWHERE.put("300 decimals", "0." + "1".repeat(300));
        EVERYWHERE.put("1 MB of text", '"' + "a".repeat(MEGABYTE) + '"');
        EVERYWHERE.put("300,000 astral characters", '"' + "\uD83C\uDF33".repeat(300_000) + '"');
        EVERYWHERE.put("5,000 characters", '"' + "b".repeat(5000) + '"');
        EVERYWHERE.put("300 characters", '"' + "c".repeat(300) + '"');
        EVERYWHERE.put("nested 31 deep", "[".repeat(31) + "]".repeat(31));
        EVERYWHERE.put("nested 1,000 deep", "{\"a\":".repeat(1000) + "1" + "}".repeat(1000));
        EVERYWHERE.put("nested 100,000 deep", "[".repeat(100_000) + "]".repeat(100_000));
        EVERYWHERE.put("10,000 elements", "[" + "0,".repeat(9_999) + "0]");
        EVERYWHERE.put("3,000 fields", many(3000));
    }

    private Oddities() {}

    /** For a place in a body: absent (as {@code null}), of every wrong kind, and around the schema's own bounds. */
    static Map<String, String> json(JsonNode schema) {
        Map<String, String> odd = new LinkedHashMap<>();
        odd.put("absent", null);
        odd.putAll(EVERYWHERE);
        for (String bound : List.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")) {
            if (schema.path(bound).isNumber()) {
                BigDecimal at = schema.path(bound).decimalValue();
                for (String step : List.of("-1", "-1e-9", "0", "1e-9", "1")) {
                    odd.put(bound + " " + step, at.add(new BigDecimal(step)).toPlainString());
                }
            }
        }
        for (String bound : List.of("minLength", "maxLength")) {
            int at = Math.min(schema.path(bound).asInt(-1), MEGABYTE);
            for (int length = Math.max(0, at - 1); at >= 0 && length <= at + 1; length++) {
                odd.put(bound + ": " + length, '"' + "d".repeat(length) + '"');
            }
        }
        schema.path("enum").forEach(word -> {
            odd.put("word " + word, word.toString());
            odd.put("misspelt " + word, '"' + word.asString("null").toUpperCase(java.util.Locale.ROOT) + '"');
            odd.put("longer " + word, '"' + word.asString("null") + "x\"");
        });
        return odd;
    }

    /** For a value in an address, a query or a header. */
    static List<String> encoded() {
        return ENCODED;
    }

    static List<String> oddAddresses() {
        return ODD_ADDRESS;
    }

    private static String many(int fields) {
        StringBuilder json = new StringBuilder("{");
        for (int i = 0; i < fields; i++) {
            json.append(i == 0 ? "" : ",").append("\"f").append(i).append("\":1");
        }
        return json.append('}').toString();
    }
}

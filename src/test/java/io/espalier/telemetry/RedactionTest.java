package io.espalier.telemetry;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;

/** What nobody may read, and what everybody has to be able to. */
class RedactionTest {

    private static Redaction redaction(Map<String, Object> settings) {
        StandardEnvironment environment = new StandardEnvironment();
        environment.getPropertySources().addFirst(new MapPropertySource("test", settings));
        return new Redaction(environment);
    }

    @ParameterizedTest
    @ValueSource(strings = {"password=S3CR3Tvalue", "\"client_secret\": \"S3CR3Tvalue\"", "Authorization: Bearer S3CR3Tvalue",
            "api-key: S3CR3Tvalue", "https://user:S3CR3Tvalue@host/path", "sent bearer S3CR3Tvalue", "hf_S3CR3Tvalue",
            "whsec_S3CR3Tvalue", "esp_S3CR3Tvalue", "GET /x?token=S3CR3Tvalue&y=1", "X-Amz-Signature=S3CR3Tvalue",
            "jdbc:postgresql://h/d?password=S3CR3Tvalue",
            "eyJhbGciOiJ.eyJzdWIiOiS3CR3Tvalue.sig", "-----BEGIN RSA PRIVATE KEY-----\nS3CR3Tvalue"})
    void whatLooksLikeASecretIsMasked(String text) {
        assertThat(redaction(Map.of()).masked(text)).doesNotContain("S3CR3Tvalue").contains(Redaction.MASK);
    }

    @Test
    void theValueOfASettingThatIsASecretIsMaskedWhereverItStands() {
        Redaction redaction = redaction(
                Map.of("spring.datasource.password", "tree-frog", "some.client-secret", "a$b\\Q", "espalier.data-dir", "garden"));
        assertThat(redaction.masked("the tree-frog lives in a garden; treetree-frogs do not")).isEqualTo(
                "the *** lives in a garden; treetree-frogs do not");
    }

    @ParameterizedTest
    @ValueSource(strings = {"tokens_per_second=12.5", "about 12 MiB; tokens: 8192, taped layers: 2", "token_count_exponent: 1",
            "tokenizer: missing (expected: tokenizer.json)", "/models/key-value/config.json", "http://127.0.0.1:8080/v1/pruning-jobs"})
    void whatIsNoneStays(String text) {
        assertThat(redaction(Map.of()).masked(text)).isEqualTo(text);
    }
}

package io.espalier.security;

import static org.assertj.core.api.Assertions.assertThat;

import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.Test;

class KeyTextTest {

    private final SecureRandom random = new SecureRandom();

    @Test
    void aNewKeyIsReadBackWithItsIdAndItsHash() {
        String text = KeyText.random(random, 1_800_000_000_000L);

        KeyText key = KeyText.parse(text).orElseThrow();
        assertThat(text).matches("esp_[0-9a-z]{26}_[0-9a-z]{59}");
        assertThat(key.id()).isEqualTo("key_" + text.substring(4, 30));
        assertThat(key.sha256()).matches("[0-9a-f]{64}").doesNotContain(text.substring(31, 50));
    }

    @Test
    void noTwoKeysHaveASecretInCommonAndTheirIdsSortByTime() {
        List<String> texts = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
            texts.add(KeyText.random(random, 1_800_000_000_000L + i));
        }

        assertThat(texts.stream().map(text -> text.substring(31))).doesNotHaveDuplicates();
        assertThat(texts.stream().map(text -> text.substring(4, 14)).toList()).isSorted();
    }

    @Test
    void aKeyWithOneCharacterChangedIsNone() {
        String text = KeyText.random(random, 1_800_000_000_000L);

        for (int i = 0; i < text.length(); i++) {
            char other = text.charAt(i) == 'x' ? 'y' : 'x';
            assertThat(KeyText.parse(text.substring(0, i) + other + text.substring(i + 1))).as("at " + i).isEmpty();
        }
        assertThat(KeyText.parse(text.substring(1))).isEmpty();
        assertThat(KeyText.parse(text + "0")).isEmpty();
        assertThat(KeyText.parse("")).isEmpty();
    }
}

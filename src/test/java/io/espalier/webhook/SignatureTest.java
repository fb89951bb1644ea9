package io.espalier.webhook;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SignatureTest {

    private static final String SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private static final String ID = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    private static final String BODY = "{\"test\": 2432232314}";

    /** The example that the specification's libraries are tested with. */
    @Test
    void theSpecificationsExampleIsSignedAsItSays() {
        assertThat(Signature.of(List.of(SECRET), ID, 1614265330, BODY)).isEqualTo("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    @Test
    void eachSecretSigns() {
        String other = Signature.newSecret();

        assertThat(Signature.of(List.of(other, SECRET), ID, 1614265330, BODY)).startsWith("v1,")
                .endsWith(" v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    @Test
    void aNewSecretIsOneAndIsNotTheOneBefore() {
        assertThat(Signature.isSecret(Signature.newSecret())).isTrue();
        assertThat(Signature.newSecret()).isNotEqualTo(Signature.newSecret());
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64 at all, and long enough"})
    void anythingElseIsNone(String text) {
        assertThat(Signature.isSecret(text)).isFalse();
    }
}

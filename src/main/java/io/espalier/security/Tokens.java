package io.espalier.security;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Clock;

import org.springframework.stereotype.Component;

/** Says whose a bearer token is, of whichever kind. */
@Component
public class Tokens {

    private final ApiKeys keys;
    private final AdminKey admin;
    private final SignedTokens signed;

    Tokens(SecuritySettings settings, ApiKeys keys, Clock clock) {
        this.keys = keys;
        try {
            admin = settings.asks() ? AdminKey.read(settings.adminKeyFile()) : new AdminKey(null);
            signed = settings.mode() == SecuritySettings.Mode.JWT ? new SignedTokens(settings.jwt(), clock) : null;
        } catch (IOException e) {
            // why unchecked: the check of settings has read both files already, and said readably what is wrong with them
            throw new UncheckedIOException(e);
        }
    }

    /**
     * Whose token this is.
     *
     * @throws RefusedTokenException when it is nobody's, or says too little
     * @throws IssuerAwayException when that cannot be told now
     */
    public Holder holder(String token) {
        Holder administrator = admin.holder(token);
        if (administrator != null) {
            return administrator;
        }
        if (token.startsWith(KeyText.PREFIX)) {
            return keys.holder(token);
        }
        if (signed == null) {
            throw RefusedTokenException.invalid("the token is no API key", null);
        }
        return signed.holder(token);
    }
}

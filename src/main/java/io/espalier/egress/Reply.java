package io.espalier.egress;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * An answer whose body is still to be read. Whoever has it closes it, or waits for the end of its time.
 *
 * @param status as the server said it
 * @param headers by lower-case name, the last of several
 * @param uri who answered, after redirects
 * @param body reads no more than was asked for, and not for longer: it throws an {@link EgressException} then
 */
public record Reply(int status, Map<String, String> headers, URI uri, InputStream body) implements AutoCloseable {

    public Optional<String> header(String name) {
        return Optional.ofNullable(headers.get(name.toLowerCase(Locale.ROOT)));
    }

    @Override
    public void close() throws IOException {
        body.close();
    }
}

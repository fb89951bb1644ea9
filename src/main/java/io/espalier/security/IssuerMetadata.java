package io.espalier.security;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.net.UnknownHostException;
import java.text.ParseException;
import java.util.List;
import java.util.Map;

import com.nimbusds.jose.util.DefaultResourceRetriever;
import com.nimbusds.jose.util.JSONObjectUtils;

/** What an issuer says of itself (OpenID Connect Discovery 1.0, section 4). */
final class IssuerMetadata {

    private static final int CONNECT_MILLIS = 3_000;
    private static final int READ_MILLIS = 5_000;
    private static final int MAX_BYTES = 1 << 18;
    /** The longest that an issuer is waited for. */
    static final long WAIT_MILLIS = CONNECT_MILLIS + READ_MILLIS;

    private final String address;
    private final Map<String, Object> said;

    private IssuerMetadata(String address, Map<String, Object> said) {
        this.address = address;
        this.said = said;
    }

    /** What fetches from an issuer, with patience and appetite that end. */
    static DefaultResourceRetriever web() {
        return new DefaultResourceRetriever(CONNECT_MILLIS, READ_MILLIS, MAX_BYTES);
    }

    /** @throws IOException when the issuer does not answer, or not with its metadata */
    static IssuerMetadata of(String issuer) throws IOException {
        String address = issuer.replaceFirst("/$", "") + "/.well-known/openid-configuration";
        try {
            return new IssuerMetadata(address, JSONObjectUtils.parse(web().retrieveResource(URI.create(address).toURL()).getContent()));
        } catch (ParseException | IllegalArgumentException e) {
            throw new IOException(address + ": no JSON object (expected: the issuer's metadata)", e);
        } catch (UnknownHostException e) {
            throw new IOException(address + ": no such host", e);
        } catch (FileNotFoundException e) {
            throw new IOException(address + ": nothing is there (expected: the issuer's metadata)", e);
        } catch (IOException e) {
            throw new IOException(address + ": " + e.getMessage(), e);
        }
    }

    /** @throws IOException when it says nothing of the kind */
    String text(String name) throws IOException {
        String text = optional(name);
        if (text == null) {
            throw new IOException(address + " has no " + name);
        }
        return text;
    }

    /** @return {@code null} when it says nothing of the kind */
    String optional(String name) {
        return said.get(name) instanceof String text && !text.isBlank() ? text : null;
    }

    /** Whether the value is among those that it lists; true as well when it lists none. */
    boolean mayTake(String name, String value) {
        return !(said.get(name) instanceof List<?> values) || values.contains(value);
    }
}

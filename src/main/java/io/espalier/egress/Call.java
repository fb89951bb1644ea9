package io.espalier.egress;

import java.net.URI;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One request.
 *
 * @param method {@code GET}, {@code HEAD} or {@code POST}
 * @param uri whereto; checked when it is sent, whoever checked it before
 * @param headers sent along; on another origin than this one only those that say what is wanted
 * @param body of a {@code POST}, else {@code null}
 * @param maxBytes the longest answer that is read
 * @param redirects how many are followed; a {@code POST} follows none
 * @param total how long all of it may take; {@code null}: as the settings say
 */
public record Call(String method, URI uri, Map<String, String> headers, byte[] body, long maxBytes, int redirects, Duration total) {

    public static Call get(URI uri) {
        return new Call("GET", uri, Map.of(), null, Long.MAX_VALUE, 0, null);
    }

    public static Call head(URI uri) {
        return new Call("HEAD", uri, Map.of(), null, Long.MAX_VALUE, 0, null);
    }

    public static Call post(URI uri, byte[] body) {
        return new Call("POST", uri, Map.of(), body, Long.MAX_VALUE, 0, null);
    }

    public Call header(String name, String value) {
        Map<String, String> more = new LinkedHashMap<>(headers);
        more.put(name, value);
        return new Call(method, uri, more, body, maxBytes, redirects, total);
    }

    /** Asks for bytes from one offset to another, which is the last one wanted. */
    public Call range(long from, long last) {
        return header("Range", "bytes=" + from + "-" + last);
    }

    public Call atMost(long bytes) {
        return new Call(method, uri, headers, body, bytes, redirects, total);
    }

    public Call following(int atMost) {
        return new Call(method, uri, headers, body, maxBytes, atMost, total);
    }

    public Call within(Duration time) {
        return new Call(method, uri, headers, body, maxBytes, redirects, time);
    }
}

package io.espalier.api;

import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.http.ContentDisposition;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpRange;
import org.springframework.http.MediaType;

/**
 * A file that never changes, sent whole or in one range (RFC 9110, sections 13 and 14).
 *
 * @param source its bytes
 * @param length in bytes
 * @param name as the client should call it
 * @param type media type
 * @param tag in quotes, its entity tag
 * @param sha256 of its bytes, hexadecimal; {@code null} where nobody summed them
 * @param elsewhere gives an address at which the bytes can be had without this service, for a while; {@code null}: there is none
 */
record Download(Source source, long length, String name, String type, String tag, String sha256, Supplier<URI> elsewhere) {

    /** A file whose digest is its tag, sent from here. */
    Download(Source source, long length, String name, String type, String sha256) {
        this(source, length, name, type, sha256, sha256, null);
    }

    static final String SAFETENSORS = "application/vnd.safetensors";

    /** Where the bytes come from. */
    @FunctionalInterface
    interface Source {
        /** Writes the bytes from the first position (inclusive) to the second (exclusive). */
        void write(long from, long to, OutputStream out) throws IOException;
    }

    private static final String TEXT = "text/plain;charset=UTF-8";
    private static final Map<String, String> TYPES = Map.of("json", MediaType.APPLICATION_JSON_VALUE, "sig",
            MediaType.APPLICATION_JSON_VALUE,
            "safetensors", SAFETENSORS, "md", "text/markdown;charset=UTF-8", "txt", TEXT, "jinja", TEXT, "SHA256SUMS", TEXT, "LICENSE",
            TEXT);

    /** The media type that the end of a name stands for. */
    static String typeOf(String name) {
        return TYPES.getOrDefault(name.substring(name.lastIndexOf('.') + 1), MediaType.APPLICATION_OCTET_STREAM_VALUE);
    }

    /** What a client is told to call a file. */
    static String disposition(String name) {
        return ContentDisposition.attachment().filename(name, StandardCharsets.UTF_8).build().toString();
    }

    void send(HttpServletRequest request, HttpServletResponse response) throws IOException {
        String quoted = '"' + tag + '"';
        response.setHeader(HttpHeaders.ETAG, quoted);
        if (sha256 != null) {
            response.setHeader("Repr-Digest", "sha-256=:" + Base64.getEncoder().encodeToString(HexFormat.of().parseHex(sha256)) + ":");
        }
        response.setHeader(HttpHeaders.ACCEPT_RANGES, "bytes");
        response.setHeader(HttpHeaders.CACHE_CONTROL, "private, max-age=31536000, immutable");
        response.setHeader("X-Content-Type-Options", "nosniff");
        if (matches(request.getHeader(HttpHeaders.IF_NONE_MATCH), quoted)) {
            response.setStatus(HttpServletResponse.SC_NOT_MODIFIED);
            return;
        }
        if (elsewhere != null && !"HEAD".equals(request.getMethod())) {
            response.setStatus(HttpServletResponse.SC_TEMPORARY_REDIRECT);
            response.setHeader(HttpHeaders.LOCATION, elsewhere.get().toString());
            response.setHeader(HttpHeaders.CACHE_CONTROL, "no-store");
            return;
        }
        HttpRange range = range(request, quoted);
        long first = range == null ? 0 : range.getRangeStart(length);
        long last = range == null ? length - 1 : range.getRangeEnd(length);
        if (range != null && (first >= length || first > last)) {
            List.of(HttpHeaders.ETAG, "Repr-Digest").forEach(header -> response.setHeader(header, null));
            response.setHeader(HttpHeaders.CONTENT_RANGE, "bytes */" + length);
            throw new ProblemException(ProblemCode.RANGE_NOT_SATISFIABLE,
                    Given.printable(request.getHeader(HttpHeaders.RANGE)) + " (expected: within " + length + " bytes)");
        }
        if (range != null) {
            response.setStatus(HttpServletResponse.SC_PARTIAL_CONTENT);
            response.setHeader(HttpHeaders.CONTENT_RANGE, "bytes " + first + "-" + last + "/" + length);
        }
        response.setContentType(type);
        response.setContentLengthLong(last - first + 1);
        response.setHeader(HttpHeaders.CONTENT_DISPOSITION, disposition(name));
        if (!"HEAD".equals(request.getMethod())) {
            source.write(first, last + 1, response.getOutputStream());
        }
    }

    /** The one range asked for; {@code null} when the whole file is to be sent: no range, several, another unit, or a file that changed since. */
    private static HttpRange range(HttpServletRequest request, String tag) {
        String asked = request.getHeader(HttpHeaders.RANGE);
        String onlyIf = request.getHeader(HttpHeaders.IF_RANGE);
        if (asked == null || !"GET".equals(request.getMethod()) || onlyIf != null && !onlyIf.equals(tag)) {
            return null;
        }
        try {
            List<HttpRange> ranges = HttpRange.parseRanges(asked);
            return ranges.size() == 1 ? ranges.getFirst() : null;
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    private static boolean matches(String noneOf, String tag) {
        if (noneOf == null) {
            return false;
        }
        for (String one : noneOf.split(",")) {
            String candidate = one.strip();
            if (candidate.equals("*") || candidate.equals(tag) || candidate.equals("W/" + tag)) {
                return true;
            }
        }
        return false;
    }
}

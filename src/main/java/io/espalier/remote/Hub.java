package io.espalier.remote;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import io.espalier.egress.Call;
import io.espalier.egress.Egress;
import io.espalier.egress.EgressException;
import io.espalier.egress.Reply;
import io.espalier.remote.RemoteFile.Digest;

/**
 * A repository in the manner of the Hugging Face Hub: {@code <base>/resolve/<revision>/<file>}. A hub says of a large file, before it sends the client on to
 * where its bytes are, how long it is and what it sums up to ({@code X-Linked-Size}, {@code X-Linked-ETag}), and of every file which commit it is of
 * ({@code X-Repo-Commit}); from the first answer on, that commit is asked for, so that all files are of one state. A server that says none of it will do.
 */
public final class Hub implements RemoteFiles {

    private static final int REDIRECTS = 5;
    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
    private static final Pattern SHA1 = Pattern.compile("[0-9a-f]{40}");
    private static final Pattern CONTENT_RANGE = Pattern.compile("bytes (\\d{1,18})-(\\d{1,18})/(\\d{1,18}|\\*)");
    private static final Pattern REPR_DIGEST = Pattern.compile("(?:.*,\\s*)?sha-256=:([A-Za-z0-9+/]{43}=):.*");

    private final Egress egress;
    private final String base;
    private final String token;
    private final Duration patience;
    private String revision;
    private String commit;

    /**
     * @param base address of the repository, without an end slash
     * @param revision branch, tag or commit
     * @param token sent to the base's own origin only; {@code null} for none
     * @param patience how long one file may take
     */
    public Hub(Egress egress, URI base, String revision, String token, Duration patience) {
        this.egress = egress;
        this.base = base.toString();
        this.revision = revision;
        this.token = token;
        this.patience = patience;
    }

    @Override
    public String revision() {
        return commit;
    }

    @Override
    public Optional<RemoteFile> find(String name) throws RemoteException {
        try (Reply reply = described(dressed(Call.head(address(name))).within(patience))) {
            int status = reply.status();
            if (status == 404 || status == 410) {
                return Optional.empty();
            }
            if (status >= 400) {
                throw refused(name, status);
            }
            reply.header("X-Repo-Commit").filter(SHA1.asMatchPredicate()).ifPresent(this::pin);
            String tag = reply.header("X-Linked-ETag").or(() -> reply.header("ETag")).orElse(null);
            boolean here = status < 300;
            long bytes = number(reply.header("X-Linked-Size").or(() -> here ? reply.header("Content-Length") : Optional.empty()));
            return Optional.of(new RemoteFile(name, bytes, tag, digest(reply, tag)));
        } catch (EgressException e) {
            throw told(e);
        } catch (RemoteException e) {
            throw e;
        } catch (IOException e) {
            throw RemoteException.passing(host() + ": " + name + ": the connection broke");
        }
    }

    /** What a hub says of a file it says before it sends the client on; a server that says nothing and sends on is followed: the repository may have moved. */
    private Reply described(Call call) throws IOException {
        Reply reply = egress.send(call);
        boolean silent = reply.header("X-Repo-Commit").or(() -> reply.header("X-Linked-ETag")).isEmpty();
        if (reply.status() < 300 || reply.status() >= 400 || !silent) {
            return reply;
        }
        reply.close();
        return egress.send(call.following(REDIRECTS));
    }

    @Override
    public Bytes open(RemoteFile file, long from, String tag) throws RemoteException {
        Call call = dressed(Call.get(address(file.name()))).following(REDIRECTS).within(patience);
        if (from > 0) {
            call = call.header("Range", "bytes=" + from + "-");
            if (tag != null && !tag.startsWith("W/")) {
                call = call.header("If-Range", tag);
            }
        }
        try {
            Reply reply = egress.send(call);
            try {
                return bytes(file, from, reply);
            } catch (RemoteException e) {
                reply.close();
                throw e;
            }
        } catch (EgressException e) {
            throw told(e);
        } catch (RemoteException e) {
            throw e;
        } catch (IOException e) {
            throw RemoteException.passing(host() + ": " + file.name() + ": the connection broke");
        }
    }

    private Bytes bytes(RemoteFile file, long from, Reply reply) throws RemoteException {
        String tag = reply.header("ETag").orElse(null);
        switch (reply.status()) {
            case 200 -> {
                return new Bytes(0, number(reply.header("Content-Length")), tag, reply.body(),
                        host() + ": " + file.name());
            }
            case 206 -> {
                Matcher range = CONTENT_RANGE.matcher(reply.header("Content-Range").orElse(""));
                if (!range.matches() || Long.parseLong(range.group(1)) != from) {
                    throw RemoteException.lasting(host() + ": " + file.name() + ": asked for bytes from " + from
                            + " on, it sent others (expected: a Content-Range that begins there, or the whole file)");
                }
                return new Bytes(from, range.group(3).equals("*") ? -1 : Long.parseLong(range.group(3)), tag, reply.body(),
                        host() + ": " + file.name());
            }
            case 416 -> {
                // why: all of it was here already, or the file became shorter; whole and summed up it is known which
                throw RemoteException.passing(host() + ": " + file.name() + ": it has no bytes from " + from + " on");
            }
            default -> throw refused(file.name(), reply.status());
        }
    }

    private Call dressed(Call call) {
        Call dressed = call.header("Accept-Encoding", "identity").header("User-Agent", "espalier");
        return token == null ? dressed : dressed.header("Authorization", "Bearer " + token);
    }

    private URI address(String name) {
        return URI.create(base + "/resolve/" + revision.replace("/", "%2F") + "/" + name);
    }

    private void pin(String sha1) {
        if (commit == null) {
            commit = sha1;
            revision = sha1;
        }
    }

    /** Only a hub's own tags are sums: another server's may look like one. */
    private Digest digest(Reply reply, String tag) {
        String bare = tag == null ? "" : tag.replaceAll("^W/|\"", "");
        if (SHA256.matcher(bare).matches() && (commit != null || reply.header("X-Linked-ETag").isPresent())) {
            return new Digest(Digest.Kind.SHA256, bare);
        }
        if (SHA1.matcher(bare).matches() && commit != null) {
            return new Digest(Digest.Kind.GIT_BLOB, bare);
        }
        Matcher said = REPR_DIGEST.matcher(reply.header("Repr-Digest").orElse(""));
        return said.matches()
                ? new Digest(Digest.Kind.SHA256, HexFormat.of().formatHex(Base64.getDecoder().decode(said.group(1).getBytes(
                        StandardCharsets.US_ASCII))))
                : null;
    }

    private RemoteException refused(String name, int status) {
        String words = host() + ": " + name + ": answered " + status;
        return switch (status) {
            case 401, 403 ->
                RemoteException.lasting(words + " (expected: 200; the repository needs a token that may read it, see token_ref)");
            case 404, 410 -> RemoteException.lasting(words + " (expected: 200; the file was there a moment ago)");
            case 408, 425, 429 -> RemoteException.passing(words + " (expected: 200)");
            default -> status >= 500
                    ? RemoteException.passing(words + " (expected: 200)")
                    : RemoteException.lasting(words + " (expected: 200)");
        };
    }

    static RemoteException told(EgressException e) {
        return switch (e.reason()) {
            case UNREACHABLE, TIMED_OUT -> RemoteException.passing(e.getMessage());
            case REFUSED, TOO_LARGE, REDIRECTS -> RemoteException.lasting(e.getMessage());
        };
    }

    private String host() {
        URI uri = URI.create(base);
        return uri.getScheme() + "://" + uri.getAuthority();
    }

    private static long number(Optional<String> header) {
        return header.filter(text -> text.matches("\\d{1,18}")).map(Long::parseLong).orElse(-1L);
    }
}

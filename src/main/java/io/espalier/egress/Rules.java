package io.espalier.egress;

import java.net.InetAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;

/** Which addresses a client may name. */
final class Rules {

    /** More than these of one name are not tried, so that a name with thousands cannot take thousands of timeouts. */
    private static final int ADDRESSES = 4;
    /** So many names are resolved at once: a resolver that is slow to say no holds a thread of the system's each time, and those are not without end. */
    private static final int LOOKUPS = 64;
    private static final Pattern VERSION_4 = Pattern.compile("(0|[1-9]\\d{0,2})(\\.(0|[1-9]\\d{0,2})){3}");
    private static final Pattern NUMBER_LAST = Pattern.compile("(.*\\.)?(\\d+|0[xX][0-9a-fA-F]*)");

    private final List<Allowance> allowed;
    private final boolean http;
    private final List<Integer> ports;
    private final Duration patience;
    private final boolean proxied;
    private final Names names;
    private final Semaphore lookups = new Semaphore(LOOKUPS);

    Rules(EgressSettings settings, Names names) {
        this.allowed = settings.allow().stream().map(Allowance::of).toList();
        this.http = settings.http();
        this.ports = List.copyOf(settings.ports());
        this.patience = settings.connectTimeout();
        this.proxied = !settings.proxy().isEmpty();
        this.names = names;
    }

    /** What keeps this from being asked; nothing, and it may be. */
    List<String> wrong(String url) {
        URI uri;
        try {
            uri = new URI(url);
        } catch (URISyntaxException e) {
            return List.of("a URL that can be read");
        }
        List<String> wrong = form(uri);
        if (uri.getHost() != null) {
            whereto(host(uri.getHost()), port(uri)).ifPresent(wrong::add);
        }
        return wrong;
    }

    /** What can be said before its name is resolved; behind a proxy, where that is done elsewhere, all that can be said here. */
    List<String> wrongBeforeConnecting(URI uri) {
        return proxied ? wrong(uri.toString()) : form(uri);
    }

    private List<String> form(URI uri) {
        List<String> wrong = new ArrayList<>();
        String scheme = uri.getScheme() == null ? "" : uri.getScheme().toLowerCase(Locale.ROOT);
        if (!scheme.equals("https") && !(http && scheme.equals("http"))) {
            wrong.add(http ? "https or http" : "https");
        }
        if (uri.getRawAuthority() != null && uri.getRawAuthority().contains("@")) {
            wrong.add("no user and password in the URL");
        }
        if (uri.getRawFragment() != null) {
            wrong.add("no fragment");
        }
        if (uri.getHost() == null) {
            wrong.add("a host name in ASCII, an IPv4 address in four decimal numbers, or an IPv6 address in brackets");
        }
        return wrong;
    }

    private Optional<String> whereto(String host, int port) {
        try {
            addresses(host, port);
            return Optional.empty();
        } catch (Refused e) {
            return Optional.of(e.getMessage());
        } catch (UnknownHostException e) {
            // why: behind a proxy, names of the world outside are often known to the proxy alone
            return proxied && ports.contains(port) ? Optional.empty() : Optional.of("a host whose name can be resolved");
        }
    }

    /** An address that has no business being asked. The message says what was expected. */
    static final class Refused extends UnknownHostException {
        Refused(String expected) {
            super(expected);
        }
    }

    /**
     * The addresses of a host that may be connected to on this port. One that may not be is enough to refuse them all.
     *
     * @param host without brackets
     *
     * @throws Refused when it may not be asked
     * @throws UnknownHostException when it has no address
     */
    List<InetAddress> addresses(String host, int port) throws UnknownHostException {
        if (NUMBER_LAST.matcher(host).matches() && !VERSION_4.matcher(host).matches()) {
            throw new Refused("an IPv4 address in four decimal numbers");
        }
        List<Allowance> here = allowed.stream().filter(line -> line.coversPort(port)).toList();
        if (here.isEmpty()) {
            requirePort(port);
        }
        List<InetAddress> all = resolved(host);
        if (here.stream().noneMatch(line -> line.covers(host))) {
            for (InetAddress address : all) {
                if (here.stream().noneMatch(line -> line.covers(address))) {
                    requirePublic(address);
                    requirePort(port);
                }
            }
        }
        return all.subList(0, Math.min(all.size(), ADDRESSES));
    }

    private static void requirePublic(InetAddress address) throws Refused {
        Optional<String> special = Reach.notPublic(address);
        if (special.isPresent()) {
            throw new Refused("a host with public addresses only; one of this host's is " + special.get());
        }
    }

    private void requirePort(int port) throws Refused {
        if (!ports.contains(port)) {
            throw new Refused("one of the ports " + String.join(", ", ports.stream().map(String::valueOf).toList()));
        }
    }

    /** Resolves a name, for no longer than a connection may take: the system's resolver has no limit of its own. */
    private List<InetAddress> resolved(String host) throws UnknownHostException {
        CompletableFuture<List<InetAddress>> answer = new CompletableFuture<>();
        try {
            if (!lookups.tryAcquire(patience.toNanos(), TimeUnit.NANOSECONDS)) {
                throw new UnknownHostException(host);
            }
            Thread.ofVirtual().name("egress-names").start(() -> {
                try {
                    answer.complete(names.resolve(host));
                } catch (UnknownHostException | RuntimeException e) {
                    answer.completeExceptionally(e);
                } finally {
                    lookups.release();
                }
            });
            List<InetAddress> all = answer.get(patience.toNanos(), TimeUnit.NANOSECONDS);
            if (all.isEmpty()) {
                throw new UnknownHostException(host);
            }
            return all;
        } catch (ExecutionException | TimeoutException e) {
            throw new UnknownHostException(host);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new UnknownHostException(host);
        }
    }

    /** In lower case, without the dot at the end that says where names begin, and without the brackets of IPv6. */
    static String host(String written) {
        String host = written.toLowerCase(Locale.ROOT);
        return host.startsWith("[")
                ? host.substring(1, host.length() - 1)
                : host.endsWith(".") ? host.substring(0, host.length() - 1) : host;
    }

    static int port(URI uri) {
        return uri.getPort() >= 0 ? uri.getPort() : "http".equalsIgnoreCase(uri.getScheme()) ? 80 : 443;
    }
}

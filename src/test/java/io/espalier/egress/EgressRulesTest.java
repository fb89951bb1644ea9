package io.espalier.egress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Which addresses a client may name. No name is resolved by the system here. */
class EgressRulesTest {

    private static final Map<String, List<String>> NAMES = Map.of("public.example", List.of("8.8.8.8", "2606:4700:4700::1111"),
            "half.example", List.of("8.8.8.8", "10.0.0.8"), "metadata.example", List.of("169.254.169.254"), "inside.example",
            List.of("10.1.2.3"), "localhost", List.of("127.0.0.1", "::1"));

    private static List<InetAddress> resolve(String host) throws UnknownHostException {
        if (host.contains(":") || host.matches("[0-9.]+")) {
            return List.of(InetAddress.ofLiteral(host));
        }
        if (!NAMES.containsKey(host)) {
            throw new UnknownHostException(host);
        }
        return NAMES.get(host).stream().map(InetAddress::ofLiteral).toList();
    }

    private static Rules rules(boolean http, String... allow) {
        return new Rules(Asked.settings(http, List.of(443, 8443), Duration.ofSeconds(5), allow), EgressRulesTest::resolve);
    }

    /** A resolver that is slow to say no holds a thread of the system's for each name. */
    @Test
    void notAllNamesAreResolvedAtOnce() throws Exception {
        AtomicInteger now = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        CountDownLatch slow = new CountDownLatch(1);
        Rules rules = new Rules(Asked.settings(false, List.of(443), Duration.ofMillis(300)), host -> {
            most.accumulateAndGet(now.incrementAndGet(), Math::max);
            try {
                slow.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            now.decrementAndGet();
            throw new UnknownHostException(host);
        });
        try (ExecutorService many = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = 0; i < 200; i++) {
                String url = "https://slow" + i + ".example/";
                many.submit(() -> rules.wrong(url));
            }
        } finally {
            slow.countDown();
        }
        assertThat(most).hasValue(64);
        assertThat(rules.wrong("https://public.example/")).as("later there is room again")
                .containsExactly("a host whose name can be resolved");
    }

    @ParameterizedTest
    @ValueSource(strings = {"https://public.example/hook?x=1", "https://public.example:8443", "https://PUBLIC.example./",
            "https://8.8.8.8/",
            "https://[2606:4700:4700::1111]/"})
    void aPublicAddressMayBeAsked(String url) {
        assertThat(rules(false).wrong(url)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            http://public.example/            | https
            ftp://public.example/             | https
            file:///etc/passwd                | https
            https://user:pw@public.example/   | user and password
            https://public.example@127.0.0.1/ | user and password
            https://public.example/#part      | fragment
            https://public.example:22/        | one of the ports 443, 8443
            https:///nowhere                  | ASCII
            https://unknown.example/          | can be resolved
            https://a b/                      | URL that can be read
            https://localhost/                | loopback
            https://127.0.0.1/                | loopback
            https://127.255.0.9/              | loopback
            https://[::1]/                    | loopback
            https://0.0.0.0/                  | unspecified
            https://[::]/                     | unspecified
            https://10.0.0.1/                 | private
            https://172.16.0.1/               | private
            https://172.31.255.255/           | private
            https://192.168.1.1/              | private
            https://[fc00::1]/                | private
            https://[fd00:ec2::254]/          | private
            https://169.254.169.254/          | link-local
            https://[fe80::1]/                | link-local
            https://metadata.example/         | link-local
            https://half.example/             | private
            https://100.64.0.1/               | carrier
            https://100.127.255.255/          | carrier
            https://224.0.0.1/                | multicast
            https://[ff02::1]/                | multicast
            https://255.255.255.255/          | reserved
            https://240.0.0.1/                | reserved
            https://192.0.2.1/                | documentation
            https://198.51.100.7/             | documentation
            https://203.0.113.7/              | documentation
            https://[2001:db8::1]/            | documentation
            https://198.18.0.1/               | benchmarks
            https://[::ffff:127.0.0.1]/       | four decimal numbers
            https://[::ffff:7f00:1]/          | loopback
            https://[::127.0.0.1]/            | four decimal numbers
            https://[::7f00:1]/               | IPv4 within IPv6
            https://[64:ff9b::a00:1]/         | IPv4 within IPv6
            https://[2002:7f00:1::1]/         | IPv4 within IPv6
            https://[2001:0:1::1]/            | protocols
            https://[4000::1]/                | not global
            https://2130706433/               | four decimal numbers
            https://0x7f000001/               | four decimal numbers
            https://0x7f.0.0.1/               | four decimal numbers
            https://017700000001/             | four decimal numbers
            https://0177.0.0.1/               | four decimal numbers
            https://127.1/                    | four decimal numbers
            https://127.0.0.1./               | ASCII
            https://１２７.０.０.１/           | ASCII
            """)
    void anythingElseIsRefusedWithWhatWasExpected(String url, String expected) {
        assertThat(rules(false).wrong(url)).isNotEmpty().anySatisfy(said -> assertThat(said).contains(expected));
    }

    @Test
    void everythingThatIsWrongIsSaidAtOnce() {
        assertThat(rules(false).wrong("http://user@10.0.0.1:22/#x")).hasSize(4);
    }

    @Test
    void whatIsAllowedMayBeAskedAtItsPortAndNowhereElse() {
        Rules rules = rules(true, "10.1.0.0/16", "[::1]:9000", "127.0.0.1:9000", "inside.example:7000");
        assertThat(rules.wrong("http://10.1.255.1:1234/")).isEmpty();
        assertThat(rules.wrong("http://10.2.0.1/")).isNotEmpty();
        assertThat(rules.wrong("http://[::1]:9000/")).isEmpty();
        assertThat(rules.wrong("http://[::1]:443/")).isNotEmpty();
        assertThat(rules.wrong("http://localhost:9000/")).isEmpty();
        assertThat(rules.wrong("http://localhost:8443/")).isNotEmpty();
        assertThat(rules.wrong("https://public.example:9000/")).isNotEmpty();
        assertThat(rules(true, "inside.example:7000").wrong("http://inside.example:7000/")).isEmpty();
        assertThat(rules(true, "inside.example:7000").wrong("http://inside.example:443/")).isNotEmpty();
        assertThat(rules(true, "inside.example").wrong("http://half.example:443/")).isNotEmpty();
    }

    @Test
    void aLineThatAllowsSomethingIsReadOrRefused() {
        assertThat(Allowance.of("fd00::/8")).isEqualTo(new Allowance(Network.of("fd00::/8"), null, 0));
        assertThat(Allowance.of("[fd00::7]:81")).isEqualTo(new Allowance(Network.of("fd00::7"), null, 81));
        assertThat(Allowance.of("Minio:9000")).isEqualTo(new Allowance(null, "minio", 9000));
        assertThat(List.of("[fd00::/8]:9000", "::1", "10.0.0.0/8", "minio.internal:9000", "127.0.0.1"))
                .allSatisfy(line -> assertThat(Allowance.of(line)).isNotNull());
        assertThat(List.of("", "http://x", "a b", "x:y", "x:0", "x:70000", "10.0.0.0/x", "10.0.0.0/33", "10.0.0.256", "fd00::/129", "*"))
                .allSatisfy(line -> assertThatThrownBy(() -> Allowance.of(line)).isInstanceOf(IllegalArgumentException.class));
    }

    @Test
    void aNameThatIsNotResolvedInTimeIsNotResolved() {
        Rules rules = new Rules(Asked.settings(false, List.of(443), Duration.ofMillis(50)), host -> {
            try {
                Thread.sleep(Duration.ofMinutes(5));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return List.of();
        });
        assertThat(rules.wrong("https://public.example/")).containsExactly("a host whose name can be resolved");
    }
}

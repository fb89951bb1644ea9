package io.espalier.egress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

import io.espalier.egress.EgressException.Reason;
import org.junit.jupiter.api.Test;

/** Real servers on loopback, which are allowed here by name, address or port. */
class EgressTest {

    private static Egress allowing(String... allow) {
        return new Egress(Asked.settings(true, List.of(443), Duration.ofSeconds(10), allow));
    }

    private static String text(Reply reply) throws IOException {
        try (reply) {
            return new String(reply.body().readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static EgressException refused(Egress egress, Call call) {
        return catchThrowableOfType(EgressException.class, () -> egress.send(call).body().readAllBytes());
    }

    @Test
    void aGetTakesHeadersAndARangeAndStreamsTheAnswer() throws IOException {
        try (Asked server = new Asked(Asked.says("206 Partial Content", "Content-Range: bytes 2-4/9\r\n", "cde"));
                Egress egress = allowing("127.0.0.1")) {
            Reply reply = egress.send(Call.get(server.at("/file?x=1")).header("Authorization", "Bearer t").range(2, 4));
            assertThat(reply.status()).isEqualTo(206);
            assertThat(reply.header("content-range")).contains("bytes 2-4/9");
            assertThat(text(reply)).isEqualTo("cde");
            assertThat(server.requests.getFirst()).startsWith("GET /file?x=1 HTTP/1.1\r\n").contains("Authorization: Bearer t\r\n",
                    "Range: bytes=2-4\r\n", "Host: 127.0.0.1:" + server.port() + "\r\n");
        }
    }

    @Test
    void aPostSendsItsBodyAndFollowsNothing() throws IOException {
        try (Asked server = new Asked(Asked.says("307 Temporary Redirect", "Location: /elsewhere\r\n", ""));
                Egress egress = allowing("127.0.0.1")) {
            Reply reply = egress.send(Call.post(server.at("/hook"), "{\"a\":1}".getBytes(StandardCharsets.UTF_8))
                    .header("Content-Type", "application/json").following(3));
            assertThat(reply.status()).isEqualTo(307);
            reply.close();
            assertThat(server.requests).singleElement().asString().startsWith("POST /hook ").endsWith("\r\n\r\n{\"a\":1}")
                    .contains("Content-Type: application/json");
        }
    }

    @Test
    void aRedirectIsCheckedAgain() throws IOException {
        try (Asked inside = new Asked(Asked.says("200 OK", "", "secret"));
                Asked server = new Asked(Asked.says("302 Found", "Location: " + inside.at("/") + "\r\n", ""));
                Egress egress = allowing("127.0.0.1:" + server.port())) {
            EgressException e = refused(egress, Call.get(server.at("/")).following(3));
            assertThat(e.reason()).isEqualTo(Reason.REFUSED);
            assertThat(server.requests).hasSize(1);
            assertThat(inside.requests).isEmpty();
        }
    }

    @Test
    void anotherOriginDoesNotLearnWhoAsks() throws IOException {
        try (Asked store = new Asked(Asked.says("200 OK", "", "bytes"));
                Asked server = new Asked(Asked.says("302 Found", "Location: " + store.at("/blob?sig=1") + "\r\n", ""));
                Egress egress = allowing("127.0.0.1")) {
            Reply reply = egress.send(
                    Call.get(server.at("/")).header("Authorization", "Bearer t").header("Cookie", "c=1").range(0, 4).following(1));
            assertThat(text(reply)).isEqualTo("bytes");
            assertThat(reply.uri()).isEqualTo(store.at("/blob?sig=1"));
            assertThat(server.requests.getFirst()).contains("Authorization: Bearer t");
            assertThat(store.requests.getFirst()).contains("Range: bytes=0-4").doesNotContainIgnoringCase("authorization", "cookie");
        }
    }

    @Test
    void redirectsEndSomewhere() throws IOException {
        try (Asked server = new Asked(Asked.says("301 Moved Permanently", "Location: /again\r\n", ""));
                Egress egress = allowing("127.0.0.1")) {
            assertThat(refused(egress, Call.get(server.at("/")).following(2)).reason()).isEqualTo(Reason.REDIRECTS);
            assertThat(server.requests).hasSize(3);
            Reply asItIs = egress.send(Call.get(server.at("/")));
            assertThat(asItIs.status()).isEqualTo(301);
            asItIs.close();
        }
    }

    @Test
    void aNameThatHasAnotherAddressByNowIsJudgedByThatOne() throws IOException {
        AtomicInteger asked = new AtomicInteger();
        Names rebinding = _ -> List.of(InetAddress.ofLiteral(asked.incrementAndGet() == 1 ? "8.8.8.8" : "127.0.0.1"));
        try (Asked inside = new Asked(Asked.says("200 OK", "", "secret"));
                Egress egress = new Egress(Asked.settings(true, List.of(inside.port()), Duration.ofSeconds(10)), rebinding)) {
            URI uri = egress.check("http://rebinding.example:" + inside.port() + "/").uri();
            assertThat(uri).isNotNull();
            assertThat(refused(egress, Call.get(uri)).reason()).isEqualTo(Reason.REFUSED);
            assertThat(inside.requests).isEmpty();
        }
    }

    @Test
    void whatWasCheckedIsWhatIsConnectedTo() throws IOException {
        AtomicInteger asked = new AtomicInteger();
        Names rebinding = _ -> List.of(InetAddress.ofLiteral(asked.incrementAndGet() == 1 ? "127.0.0.1" : "192.0.2.1"));
        try (Asked server = new Asked(Asked.says("200 OK", "", "here"));
                Egress egress = new Egress(Asked.settings(true, List.of(), Duration.ofSeconds(10), "127.0.0.1"), rebinding)) {
            assertThat(text(egress.send(Call.get(URI.create("http://name.example:" + server.port() + "/"))))).isEqualTo("here");
            assertThat(asked).hasValue(1);
        }
    }

    @Test
    void aServerThatSaysNothingIsLeft() throws Exception {
        CountDownLatch end = new CountDownLatch(1);
        try (Asked server = new Asked(_ -> end.await());
                Egress egress = new Egress(new EgressSettings(List.of("127.0.0.1"), true, List.of(), Duration.ofSeconds(10),
                        Duration.ofMillis(200), Duration.ofMinutes(5), ""))) {
            assertThat(refused(egress, Call.get(server.at("/"))).reason()).isEqualTo(Reason.TIMED_OUT);
        } finally {
            end.countDown();
        }
    }

    @Test
    void aServerThatSaysLittleForLongIsLeftInTheEnd() throws IOException {
        try (Asked server = new Asked(connection -> {
            OutputStream out = connection.getOutputStream();
            out.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            drip(connection);
        }); Egress egress = allowing("127.0.0.1")) {
            EgressException e = refused(egress, Call.get(server.at("/")).within(Duration.ofMillis(500)));
            assertThat(e.reason()).isEqualTo(Reason.TIMED_OUT);
        }
    }

    @Test
    void aHeadThatNeverEndsIsLeftInTheEnd() throws IOException {
        try (Asked server = new Asked(connection -> {
            connection.getOutputStream().write("HTTP/1.1 200 OK\r\nX: ".getBytes(StandardCharsets.US_ASCII));
            drip(connection);
        }); Egress egress = allowing("127.0.0.1")) {
            assertThat(refused(egress, Call.get(server.at("/")).within(Duration.ofMillis(500))).reason()).isEqualTo(Reason.TIMED_OUT);
        }
    }

    private static void drip(Socket connection) throws Exception {
        while (true) {
            connection.getOutputStream().write('x');
            connection.getOutputStream().flush();
            Thread.sleep(20);
        }
    }

    @Test
    void aBodyWithoutAnEndIsReadNoFurtherThanAskedFor() throws IOException {
        try (Asked server = new Asked(connection -> {
            OutputStream out = connection.getOutputStream();
            out.write("HTTP/1.1 200 OK\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            while (true) {
                out.write(new byte[8192]);
            }
        }); Egress egress = allowing("127.0.0.1")) {
            assertThat(refused(egress, Call.get(server.at("/")).atMost(100_000)).reason()).isEqualTo(Reason.TOO_LARGE);
        }
    }

    @Test
    void aBodyOfJustTheLengthThatWasAskedForIsRead() throws IOException {
        try (Asked server = new Asked(Asked.says("200 OK", "", "12345")); Egress egress = allowing("127.0.0.1")) {
            assertThat(text(egress.send(Call.get(server.at("/")).atMost(5)))).isEqualTo("12345");
            assertThat(refused(egress, Call.get(server.at("/")).atMost(4)).reason()).isEqualTo(Reason.TOO_LARGE);
        }
    }

    @Test
    void endlessHeadersAreNotRead() throws IOException {
        try (Asked server = new Asked(connection -> {
            OutputStream out = connection.getOutputStream();
            out.write("HTTP/1.1 200 OK\r\n".getBytes(StandardCharsets.US_ASCII));
            while (true) {
                out.write("X: y\r\n".getBytes(StandardCharsets.US_ASCII));
            }
        }); Egress egress = allowing("127.0.0.1")) {
            assertThat(refused(egress, Call.get(server.at("/"))).reason()).isEqualTo(Reason.UNREACHABLE);
        }
    }

    @Test
    void anErrorSaysNoPathAndNoQuery() throws IOException {
        int closed;
        try (Asked server = new Asked(_ -> {})) {
            closed = server.port();
        }
        try (Egress egress = allowing("127.0.0.1")) {
            URI uri = URI.create("http://127.0.0.1:" + closed + "/token-in-path?token=in-query");
            assertThatThrownBy(() -> egress.send(Call.get(uri))).isInstanceOf(EgressException.class)
                    .hasMessage("http://127.0.0.1:" + closed + ": no connection").extracting(e -> ((EgressException) e).reason())
                    .isEqualTo(Reason.UNREACHABLE);
            assertThatThrownBy(() -> egress.send(Call.get(URI.create("http://10.9.9.9/token?t=1")))).hasMessageNotContaining("token")
                    .extracting(e -> ((EgressException) e).reason()).isEqualTo(Reason.REFUSED);
        }
    }

    @Test
    void aProxyTakesWhatIsAllowedAndNothingElse() throws IOException {
        try (Asked proxy = new Asked(Asked.says("200 OK", "", "through"));
                Egress egress = new Egress(new EgressSettings(List.of(), true, List.of(80), Duration.ofSeconds(10), Duration.ofSeconds(20),
                        Duration.ofSeconds(60), "http://127.0.0.1:" + proxy.port()))) {
            assertThat(text(egress.send(Call.get(URI.create("http://8.8.8.8/x"))))).isEqualTo("through");
            assertThat(proxy.requests.getFirst()).startsWith("GET http://8.8.8.8/x ");
            assertThat(refused(egress, Call.get(URI.create("http://10.0.0.1/x"))).reason()).isEqualTo(Reason.REFUSED);
            assertThat(proxy.requests).hasSize(1);
        }
    }
}

package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.boot.test.web.server.LocalServerPort;

/** Ids and names that want out of where they belong, written as no well-meaning client writes them, at every place of the contract that takes one. */
@ApiTest
class HostileAddressesTest {

    private final int port;

    HostileAddressesTest(@LocalServerPort int port) {
        this.port = port;
    }

    static List<String> names() {
        return List.of("..", ".", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%2f..%2fapplication.yml", "%252e%252e%252fx",
                "..%5c..%5cx",
                "%5c%5chost%5cshare", "a%00b", "%00", "%c0%ae%c0%ae%c0%af", "%e0%80%ae", "%ff%fe", "%ed%a0%80", "%uff0e", "..;/x", ";a=b",
                "a;b",
                "%3b", "%ef%bc%8e%ef%bc%8e%ef%bc%8fetc", "%e2%80%ae", "%0d%0aSet-Cookie:%20a=b", "%0a", "%7f", "%20", "%09", "~root",
                "job_00000000000000000000000000%00", "C:%5cx", "%2f", "%2fetc%2fpasswd", "*", "'%20or%201=1--", "%25", "%25s%25n",
                "${jndi:ldap://127.0.0.1}", "a".repeat(7000), "%f0%9f%8c%b3".repeat(300));
    }

    @ParameterizedTest
    @MethodSource("names")
    void aHostileNameIsRefusedOrNotFoundEverywhere(String name) throws IOException {
        for (String operation : Contract.IT.operations()) {
            if (!operation.contains("{")) {
                continue;
            }
            String method = operation.replaceAll(" .*", "");
            String path = operation.replaceAll(".* ", "").replaceAll("\\{[a-z]+}", java.util.regex.Matcher.quoteReplacement(name));
            String answer = raw(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n"
                    + "Content-Type: application/json\r\n\r\n");
            // why not 404 alone: ./cancel is no address that takes a POST, and an encoded slash is no address at all
            assertThat(answer).as(operation + " with " + name).matches("(?s)HTTP/1\\.1 4\\d\\d .*")
                    .contains("application/problem+json")
                    .doesNotContain("Exception", "root:", "Set-Cookie: a", "\tat ");
        }
    }

    @Test
    void anAddressThatIsTooLongIsRefused() throws IOException {
        assertThat(raw("GET /v1/models/" + "a".repeat(20_000) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
                .startsWith("HTTP/1.1 4").contains("application/problem+json");
        assertThat(raw("GET /v1/models?x=" + "a".repeat(20_000) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
                .startsWith("HTTP/1.1 4").contains("application/problem+json");
    }

    private String raw(String request) throws IOException {
        try (Socket socket = new Socket("127.0.0.1", port)) {
            socket.setSoTimeout(20_000);
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}

package io.espalier.egress;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Which addresses are public, by the IANA registries of special-purpose addresses (RFC 6890). Of IPv6 only global unicast is, and nothing in it that
 * stands for an address of IPv4: where such a packet comes out is another machine's choice.
 */
final class Reach {

    private static final Network GLOBAL_UNICAST = Network.of("2000::/3");
    private static final Map<Network, String> SPECIAL = new LinkedHashMap<>();
    static {
        special("unspecified", "0.0.0.0/8", "::/128");
        special("loopback", "127.0.0.0/8", "::1/128");
        special("private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7");
        special("link-local", "169.254.0.0/16", "fe80::/10");
        special("shared by a carrier's customers", "100.64.0.0/10");
        special("multicast", "224.0.0.0/4", "ff00::/8");
        special("for documentation", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20");
        special("for benchmarks", "198.18.0.0/15");
        special("for protocols", "192.0.0.0/24", "192.88.99.0/24", "2001::/23");
        special("reserved", "240.0.0.0/4");
        special("IPv4 within IPv6", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16");
    }

    private Reach() {}

    private static void special(String what, String... networks) {
        for (String network : networks) {
            SPECIAL.put(Network.of(network), what);
        }
    }

    /** What keeps an address from being public; empty when it is. An IPv4-mapped one is an address of IPv4 to Java. */
    static Optional<String> notPublic(InetAddress address) {
        return SPECIAL.entrySet().stream().filter(entry -> entry.getKey().contains(address)).map(Map.Entry::getValue).findFirst()
                .or(() -> address instanceof Inet4Address || GLOBAL_UNICAST.contains(address)
                        ? Optional.empty()
                        : Optional.of("not global"));
    }
}

package io.espalier.egress;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.List;

import org.apache.hc.client5.http.DnsResolver;
import org.apache.hc.client5.http.config.ConnectionConfig;
import org.apache.hc.client5.http.config.RequestConfig;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClientBuilder;
import org.apache.hc.client5.http.impl.io.ManagedHttpClientConnectionFactory;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManagerBuilder;
import org.apache.hc.core5.http.HttpHost;
import org.apache.hc.core5.http.config.Http1Config;
import org.apache.hc.core5.http.io.SocketConfig;
import org.apache.hc.core5.util.Timeout;

/**
 * The HTTP client below {@link Egress}. It connects to the addresses that {@link Rules} let through in the same moment, so that a name which has another
 * address by now is judged by that one. Each exchange has a connection of its own; nothing is retried, followed, decompressed or remembered.
 */
final class Wire {

    private static final int CONNECTIONS = 256;
    private static final int HEADERS = 200;
    private static final int HEADER_BYTES = 64 * 1024;

    private Wire() {}

    static CloseableHttpClient client(EgressSettings settings, Rules rules) {
        HttpHost proxy = proxy(settings.proxy());
        Timeout read = Timeout.of(settings.readTimeout());
        Http1Config http1 = Http1Config.custom().setMaxHeaderCount(HEADERS).setMaxLineLength(HEADER_BYTES).build();
        var connections = PoolingHttpClientConnectionManagerBuilder.create().setDnsResolver(new Checked(rules, proxy, settings))
                .setConnectionFactory(ManagedHttpClientConnectionFactory.builder().http1Config(http1).build())
                .setDefaultConnectionConfig(ConnectionConfig.custom().setConnectTimeout(Timeout.of(settings.connectTimeout()))
                        .setSocketTimeout(read).build())
                .setDefaultSocketConfig(SocketConfig.custom().setSoTimeout(read).build()).setMaxConnTotal(CONNECTIONS)
                .setMaxConnPerRoute(CONNECTIONS).build();
        RequestConfig requests = RequestConfig.custom().setResponseTimeout(read).setRedirectsEnabled(false)
                .setAuthenticationEnabled(false).setContentCompressionEnabled(false).setProtocolUpgradeEnabled(false)
                .setConnectionRequestTimeout(Timeout.of(settings.connectTimeout())).build();
        return HttpClientBuilder.create().setConnectionManager(connections).setDefaultRequestConfig(requests).setProxy(proxy)
                .setUserAgent("Espalier").setConnectionReuseStrategy((_, _, _) -> false).disableAutomaticRetries().disableRedirectHandling()
                .disableContentCompression().disableCookieManagement().disableAuthCaching().build();
    }

    private static HttpHost proxy(String address) {
        if (address.isEmpty()) {
            return null;
        }
        String[] parts = address.substring("http://".length()).split(":");
        return new HttpHost("http", parts[0], Integer.parseInt(parts[1]));
    }

    /** Resolves at the moment of connecting. The proxy is the operator's choice, and is not judged. */
    private record Checked(Rules rules, HttpHost proxy, EgressSettings settings) implements DnsResolver {

        @Override
        public List<InetSocketAddress> resolve(String host, int port) throws UnknownHostException {
            List<InetAddress> addresses = proxy != null && proxy.getHostName().equals(host) && proxy.getPort() == port
                    ? List.of(InetAddress.getAllByName(host))
                    : rules.addresses(Rules.host(host), port);
            return addresses.stream().map(address -> new InetSocketAddress(address, port)).toList();
        }

        @Override
        public InetAddress[] resolve(String host) throws UnknownHostException {
            throw new UnknownHostException(host + " is resolved with its port only");
        }

        @Override
        public String resolveCanonicalHostname(String host) {
            return host;
        }
    }
}

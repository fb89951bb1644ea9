package io.espalier.api;

import java.io.IOException;
import java.util.List;
import java.util.function.BooleanSupplier;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import io.espalier.security.IssuerAwayException;
import io.espalier.security.RefusedTokenException;
import io.espalier.security.Role;
import io.espalier.security.SecuritySettings;
import io.espalier.security.SignIn;
import io.espalier.security.Tokens;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.web.server.context.WebServerInitializedEvent;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.event.EventListener;
import org.springframework.http.HttpHeaders;
import org.springframework.http.server.ServerHttpResponse;
import org.springframework.security.authentication.AbstractAuthenticationToken;
import org.springframework.security.authentication.AuthenticationManager;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.AuthenticationException;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.oauth2.server.resource.InvalidBearerTokenException;
import org.springframework.security.oauth2.server.resource.authentication.BearerTokenAuthenticationToken;
import org.springframework.security.oauth2.server.resource.web.BearerTokenResolver;
import org.springframework.security.oauth2.server.resource.web.DefaultBearerTokenResolver;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.firewall.RequestRejectedHandler;
import org.springframework.security.web.firewall.StrictHttpFirewall;
import org.springframework.web.cors.CorsConfiguration;
import org.springframework.web.cors.DefaultCorsProcessor;
import org.springframework.web.cors.UrlBasedCorsConfigurationSource;
import org.springframework.web.filter.CorsFilter;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Who asks. With security on, everything under {@code /v1} and {@code /actuator} needs a bearer token, but for health and how to sign in; pages and the
 * contract are for everybody. What a caller may then do is {@link Permissions}' business, and which rows exist for him the controllers'.
 */
@Configuration(proxyBeanMethods = false)
@ConditionalOnWebApplication
class Gate {

    private static final Logger log = LoggerFactory.getLogger(Gate.class);

    private static final String WELCOME = Gate.class.getName() + ".welcome";

    private final SecuritySettings settings;
    private final ApiSettings api;
    private final Rates rates;
    private final SignIn signIn;

    Gate(SecuritySettings settings, ApiSettings api, Rates rates, SignIn signIn) {
        this.settings = settings;
        this.api = api;
        this.rates = rates;
        this.signIn = signIn;
    }

    /** Said at every start, so that nobody is open without knowing it. */
    @EventListener
    void say(WebServerInitializedEvent started) {
        if (api.enabled()) {
            signIn.prepare();
        }
        if (!settings.asks() && api.enabled()) {
            log.warn("security is off (espalier.security.mode is open): whoever reaches port {} may order, read and delete everything",
                    started.getWebServer().getPort());
        }
    }

    /** A caller, as Spring Security carries him. */
    private static final class Known extends AbstractAuthenticationToken {

        private final transient Caller caller;
        private final transient BooleanSupplier welcome;

        private Known(Caller caller, BooleanSupplier welcome) {
            super(List.of());
            this.caller = caller;
            this.welcome = welcome;
            setAuthenticated(true);
        }

        @Override
        public Object getCredentials() {
            return "";
        }

        @Override
        public Object getPrincipal() {
            return caller.name();
        }
    }

    @Bean
    SecurityFilterChain chain(HttpSecurity http, Tokens tokens) throws Exception {
        AuthenticationManager manager = asked -> known(asked, tokens);
        http.csrf(AbstractHttpConfigurer::disable).headers(AbstractHttpConfigurer::disable).requestCache(AbstractHttpConfigurer::disable)
                .logout(AbstractHttpConfigurer::disable).anonymous(AbstractHttpConfigurer::disable)
                .sessionManagement(session -> session.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
                .oauth2ResourceServer(server -> server.bearerTokenResolver(this::token).authenticationManagerResolver(request -> manager)
                        .authenticationEntryPoint(this::refuse))
                .addFilterBefore(new Told(), BearerTokenAuthenticationFilter.class)
                .addFilterAfter(new Introduction(), BearerTokenAuthenticationFilter.class);
        http.cors(AbstractHttpConfigurer::disable);
        if (!settings.allowedOrigins().isEmpty()) {
            http.addFilterBefore(origins(), BearerTokenAuthenticationFilter.class);
        }
        return http.build();
    }

    private CorsFilter origins() {
        CorsConfiguration allowed = new CorsConfiguration();
        allowed.setAllowedOrigins(settings.allowedOrigins());
        allowed.setAllowedMethods(List.of("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"));
        allowed.setAllowedHeaders(List.of("*"));
        allowed.setExposedHeaders(List.of("Location", "ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed",
                "Content-Range", "Content-Disposition", "Repr-Digest", "Upload-Offset", "WWW-Authenticate"));
        allowed.setAllowCredentials(false);
        allowed.setMaxAge(3600L);
        UrlBasedCorsConfigurationSource source = new UrlBasedCorsConfigurationSource();
        source.registerCorsConfiguration("/v1/**", allowed);
        CorsFilter filter = new CorsFilter(source);
        filter.setCorsProcessor(new DefaultCorsProcessor() {
            @Override
            protected void rejectRequest(ServerHttpResponse response) {
                throw new ProblemException(ProblemCode.FORBIDDEN,
                        "a page of this origin may not use the API from a browser (expected: one that espalier.security.allowed-origins names)");
            }
        });
        return filter;
    }

    /** The token of a request that needs one: whatever else comes with a request is not looked at. */
    private String token(HttpServletRequest request) {
        BearerTokenResolver header = new DefaultBearerTokenResolver();
        return settings.asks() && !isPublic(request) ? header.resolve(request) : null;
    }

    private static Authentication known(Authentication asked, Tokens tokens) {
        String token = ((BearerTokenAuthenticationToken) asked).getToken();
        try {
            return new Known(Caller.of(tokens.holder(token)), () -> isGood(token, tokens));
        } catch (RefusedTokenException e) {
            if (e.known()) {
                throw new ProblemException(ProblemCode.FORBIDDEN, Given.printable(e.getMessage()));
            }
            throw new InvalidBearerTokenException(e.getMessage(), e);
        } catch (IssuerAwayException e) {
            log.warn("{}: {}", e.getMessage(), String.valueOf(e.getCause()));
            throw new ProblemException(ProblemCode.UNAVAILABLE, e.getMessage());
        }
    }

    /** Whether a token is still good. What cannot be told now is told the next time. */
    private static boolean isGood(String token, Tokens tokens) {
        try {
            tokens.holder(token);
            return true;
        } catch (RefusedTokenException e) {
            return false;
        } catch (RuntimeException e) {
            log.debug("a token cannot be looked at again now", e);
            return true;
        }
    }

    /** Health, the contract, how to sign in, and whatever is no operation: pages, and addresses with nothing behind them. */
    private boolean isPublic(HttpServletRequest request) {
        String path = path(request);
        if (path.startsWith("/actuator")) {
            return path.matches("/actuator/health(/.*)?") || settings.publicMetrics() && path.equals("/actuator/prometheus");
        }
        return !path.equals("/v1") && !path.startsWith("/v1/") || path.equals(SignInController.PATH);
    }

    /** Decoded, as whoever finds the operation sees it: by the raw one, an address with %61 for a would go past. */
    static String path(HttpServletRequest request) {
        return request.getPathInfo() == null ? request.getServletPath() : request.getServletPath() + request.getPathInfo();
    }

    private void refuse(HttpServletRequest request, HttpServletResponse response, AuthenticationException e) throws IOException {
        rates.count("stranger at " + request.getRemoteAddr(), response);
        String why = e instanceof InvalidBearerTokenException ? Given.printable(e.getMessage()) : "the Authorization header cannot be read";
        response.setHeader(HttpHeaders.WWW_AUTHENTICATE, challenge("invalid_token", why));
        Problem.of(
                new ProblemException(ProblemCode.UNAUTHENTICATED, why + " (expected: Authorization: Bearer with " + settings.words() + ")"),
                request).send(request, response);
    }

    /** Says, to whoever answers a request for long, whether its caller may still be answered. */
    static BooleanSupplier welcome(HttpServletRequest request) {
        return request.getAttribute(WELCOME) instanceof BooleanSupplier welcome ? welcome : () -> true;
    }

    /** RFC 6750, section 3. */
    static String challenge(String error, String why) {
        String challenge = "Bearer realm=\"espalier\"" + (error == null ? "" : ", error=\"" + error + '"');
        return why == null ? challenge : challenge + ", error_description=\"" + why.replaceAll("[^ !#-\\[\\]-~]", "'") + '"';
    }

    /** Says why somebody was turned away from {@code /actuator}: on a port of its own nobody else would, and it would be an error of ours. */
    private static final class Told extends OncePerRequestFilter {

        @Override
        protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
                throws ServletException, IOException {
            try {
                chain.doFilter(request, response);
            } catch (ProblemException e) {
                if (response.isCommitted() || !path(request).startsWith("/actuator")) {
                    throw e;
                }
                Problem.of(e, request).send(request, response);
            }
        }
    }

    /** Presents the caller to everybody behind, or turns him away. */
    private final class Introduction extends OncePerRequestFilter {

        @Override
        protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
                throws ServletException, IOException {
            if (!settings.asks()) {
                Caller.LOCAL.ask(request);
                if (!isPublic(request)) {
                    rates.count("local at " + request.getRemoteAddr(), response);
                }
            } else if (!isPublic(request)) {
                if (!(SecurityContextHolder.getContext().getAuthentication() instanceof Known known)) {
                    rates.count("stranger at " + request.getRemoteAddr(), response);
                    response.setHeader(HttpHeaders.WWW_AUTHENTICATE, challenge(null, null));
                    throw new ProblemException(ProblemCode.UNAUTHENTICATED,
                            "no token came with the request (expected: Authorization: Bearer with " + settings.words() + ")");
                }
                rates.count(known.caller.name(), response);
                if (path(request).startsWith("/actuator")) {
                    requireWhole(known.caller, request);
                }
                known.caller.ask(request);
                request.setAttribute(WELCOME, known.welcome);
            }
            chain.doFilter(request, response);
        }
    }

    /** What tells of the whole process is for those who see every project, and what changes it for their administrators. */
    private static void requireWhole(Caller caller, HttpServletRequest request) {
        boolean looks = "GET".equals(request.getMethod()) || "HEAD".equals(request.getMethod());
        if (!caller.seesAll() || !looks && caller.role() != Role.ADMIN) {
            throw new ProblemException(ProblemCode.FORBIDDEN, "this tells of all projects (expected: a token that sees every project"
                    + (looks ? ")" : ", of an administrator)"));
        }
    }

    /** Only what nobody writes by mistake is refused here; odd headers and parameters are refused in words by who reads them. */
    @Bean
    StrictHttpFirewall httpFirewall() {
        StrictHttpFirewall firewall = new StrictHttpFirewall();
        firewall.setUnsafeAllowAnyHttpMethod(true);
        firewall.setAllowUrlEncodedPercent(true);
        firewall.setAllowedHeaderNames(name -> true);
        firewall.setAllowedHeaderValues(value -> true);
        firewall.setAllowedParameterNames(name -> true);
        firewall.setAllowedParameterValues(value -> true);
        return firewall;
    }

    @Bean
    RequestRejectedHandler refusedAddress() {
        return (request, response, e) -> Problem.of(new ProblemException(ProblemCode.INVALID_REQUEST,
                "the address has .., //, ;, \\ or an encoded / or control character in it (expected: none of these)"), request)
                .send(request, response);
    }
}

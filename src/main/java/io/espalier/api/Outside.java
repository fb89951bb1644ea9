package io.espalier.api;

import java.io.IOException;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.http.HttpHeaders;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.servlet.HandlerExceptionResolver;

/** What goes around every answer: the headers that browsers are to obey, and problems in place of what is thrown before any controller is found. */
@Configuration(proxyBeanMethods = false)
@ConditionalOnWebApplication
class Outside {

    private static final String NO_PAGE = "default-src 'none'; frame-ancestors 'none'";

    @Bean
    FilterRegistrationBean<OncePerRequestFilter> around(Dashboard dashboard,
            @Qualifier("handlerExceptionResolver") HandlerExceptionResolver resolver) {
        FilterRegistrationBean<OncePerRequestFilter> filter = new FilterRegistrationBean<>(new OncePerRequestFilter() {
            @Override
            protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
                    throws ServletException, IOException {
                headers(request, response, dashboard);
                try {
                    chain.doFilter(request, response);
                } catch (RuntimeException e) {
                    if (response.isCommitted() || resolver.resolveException(request, response, null, e) == null) {
                        throw e;
                    }
                }
            }
        });
        // why so early: whatever is refused on the way in has these headers too; only the marking of request threads comes before
        filter.setOrder(Ordered.HIGHEST_PRECEDENCE + 10);
        return filter;
    }

    private static void headers(HttpServletRequest request, HttpServletResponse response, Dashboard dashboard) {
        String path = Gate.path(request);
        boolean operation = path.matches("/(v1|actuator)(/.*)?");
        response.setHeader("X-Content-Type-Options", "nosniff");
        response.setHeader("X-Frame-Options", "DENY");
        response.setHeader("Referrer-Policy", "no-referrer");
        response.setHeader("Content-Security-Policy", operation ? NO_PAGE : dashboard.policy(path));
        if (operation) {
            response.setHeader(HttpHeaders.CACHE_CONTROL, "no-store");
        }
    }
}

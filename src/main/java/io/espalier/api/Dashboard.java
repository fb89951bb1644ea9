package io.espalier.api;

import java.nio.charset.StandardCharsets;

import jakarta.servlet.DispatcherType;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import io.espalier.security.SignIn;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.http.CacheControl;
import org.springframework.http.HttpMethod;
import org.springframework.web.filter.ShallowEtagHeaderFilter;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.ResourceHandlerRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;
import org.springframework.web.servlet.resource.NoResourceFoundException;
import org.springframework.web.servlet.resource.ResourceHttpRequestHandler;
import org.springframework.web.servlet.resource.TransformedResource;

/** The pages that lie under {@code static}: they are there where the API is, and carry the digest of their content as ETag. */
@Configuration(proxyBeanMethods = false)
class Dashboard implements WebMvcConfigurer {

    private static final String CONNECT = "connect-src 'self'";
    private static final String POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " + CONNECT
            + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private final ApiSettings settings;
    private final SignIn signIn;

    Dashboard(ApiSettings settings, SignIn signIn) {
        this.settings = settings;
        this.signIn = signIn;
    }

    /** What the browser allows a page of that address; one that signs people in may ask where codes are exchanged, and nobody else. */
    String policy(String path) {
        return path.equals("/") || path.endsWith(".html") ? connecting(POLICY) : POLICY;
    }

    private String connecting(String text) {
        SignIn.Provider provider = signIn.offer().provider();
        return provider == null ? text : text.replace(CONNECT, CONNECT + " " + provider.tokenOrigin());
    }

    /**
     * Pages say in themselves what they may connect to. Why not in the header alone: a browser that is told that a page has not changed keeps the headers
     * that it had with it.
     */
    @Override
    public void addResourceHandlers(ResourceHandlerRegistry registry) {
        registry.addResourceHandler("/*.html").addResourceLocations("classpath:/static/").setCacheControl(CacheControl.noCache())
                .setUseLastModified(false).resourceChain(false).addTransformer((request, page, chain) -> new TransformedResource(page,
                        connecting(page.getContentAsString(StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8)));
    }

    @Bean
    FilterRegistrationBean<ShallowEtagHeaderFilter> etags() {
        FilterRegistrationBean<ShallowEtagHeaderFilter> filter = new FilterRegistrationBean<>(new ShallowEtagHeaderFilter());
        filter.addUrlPatterns("/index.html", "/dashboard/*", "/webjars/*");
        // why: / is forwarded to index.html, and after a forward Tomcat takes no more bytes: the filter has to stand behind it
        filter.setDispatcherTypes(DispatcherType.REQUEST, DispatcherType.FORWARD);
        return filter;
    }

    @Override
    public void addInterceptors(InterceptorRegistry interceptors) {
        interceptors.addInterceptor(new HandlerInterceptor() {
            @Override
            public boolean preHandle(HttpServletRequest request, HttpServletResponse response, Object handler)
                    throws NoResourceFoundException {
                if (handler instanceof ResourceHttpRequestHandler && !settings.enabled()) {
                    throw new NoResourceFoundException(HttpMethod.valueOf(request.getMethod()), request.getRequestURI(), "");
                }
                return true;
            }
        });
    }
}

package io.espalier.api;

import jakarta.servlet.DispatcherType;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.http.HttpMethod;
import org.springframework.web.filter.ShallowEtagHeaderFilter;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;
import org.springframework.web.servlet.resource.NoResourceFoundException;
import org.springframework.web.servlet.resource.ResourceHttpRequestHandler;

/** The pages that lie under {@code static}: they are there where the API is, and carry the digest of their content as ETag. */
@Configuration(proxyBeanMethods = false)
class Dashboard implements WebMvcConfigurer {

    private final ApiSettings settings;

    Dashboard(ApiSettings settings) {
        this.settings = settings;
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

package io.espalier.api;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.boot.availability.ApplicationAvailability;
import org.springframework.boot.availability.AvailabilityChangeEvent;
import org.springframework.boot.availability.ReadinessState;
import org.springframework.boot.webmvc.autoconfigure.WebMvcRegistrations;
import org.springframework.context.annotation.Configuration;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.method.HandlerMethod;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

/** Whether anybody comes in: in a process without the API no operation is mapped, and in one that was closed none is carried out. */
@Configuration(proxyBeanMethods = false)
class Door implements WebMvcRegistrations, WebMvcConfigurer {

    private final ApiSettings settings;
    private final ApplicationAvailability availability;

    Door(ApiSettings settings, ApplicationAvailability availability) {
        this.settings = settings;
        this.availability = availability;
    }

    @Override
    public RequestMappingHandlerMapping getRequestMappingHandlerMapping() {
        return new RequestMappingHandlerMapping() {
            @Override
            protected boolean isHandler(Class<?> type) {
                return super.isHandler(type) && (settings.enabled() || !isOperations(type));
            }
        };
    }

    static boolean isOperations(Class<?> type) {
        return type.isAnnotationPresent(RestController.class) && type.getPackage() == Door.class.getPackage();
    }

    @Override
    public void addInterceptors(InterceptorRegistry interceptors) {
        interceptors.addInterceptor(new HandlerInterceptor() {
            @Override
            public boolean preHandle(HttpServletRequest request, HttpServletResponse response, Object handler) {
                if (handler instanceof HandlerMethod method && isOperations(method.getBeanType())) {
                    refuseWhenClosed();
                }
                return true;
            }
        });
    }

    private void refuseWhenClosed() {
        AvailabilityChangeEvent<ReadinessState> last = availability.getLastChangeEvent(ReadinessState.class);
        if (last != null && last.getState() == ReadinessState.REFUSING_TRAFFIC && last.getSource() instanceof String why) {
            throw new ProblemException(ProblemCode.UNAVAILABLE, "this process is closed: " + why);
        }
    }
}

package io.espalier.api;

import jakarta.servlet.http.HttpServletRequest;

import io.espalier.security.Holder;
import io.espalier.security.Role;
import org.springframework.core.MethodParameter;
import org.springframework.stereotype.Component;
import org.springframework.web.bind.support.WebDataBinderFactory;
import org.springframework.web.context.request.NativeWebRequest;
import org.springframework.web.method.support.HandlerMethodArgumentResolver;
import org.springframework.web.method.support.ModelAndViewContainer;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;

/**
 * Who asks. A controller takes it as an argument; what belongs to a project that the caller does not see is answered as if it did not exist.
 *
 * @param name for the log
 * @param project the caller's own; {@code null} for one who sees every project
 * @param role what the caller may do
 */
record Caller(String name, String project, Role role) {

    /** Whoever reaches a service that asks nobody for a name. */
    static final Caller LOCAL = new Caller("local", null, Role.ADMIN);

    /** Whether every project exists for this caller. */
    boolean seesAll() {
        return project == null;
    }

    /** Whether something of that project exists for this caller. */
    boolean sees(String other) {
        return project == null || project.equals(other);
    }

    /** Hands the caller of a request to the controllers. */
    @Component
    static final class Argument implements HandlerMethodArgumentResolver, WebMvcConfigurer {

        @Override
        public void addArgumentResolvers(java.util.List<HandlerMethodArgumentResolver> resolvers) {
            resolvers.add(this);
        }

        @Override
        public boolean supportsParameter(MethodParameter parameter) {
            return parameter.getParameterType() == Caller.class;
        }

        @Override
        public Caller resolveArgument(MethodParameter parameter, ModelAndViewContainer container, NativeWebRequest request,
                WebDataBinderFactory binders) {
            return of(request.getNativeRequest(HttpServletRequest.class));
        }
    }

    static Caller of(Holder holder) {
        return new Caller(holder.name(), holder.project(), holder.role());
    }

    /** @throws ProblemException when nobody has been let in with this request */
    static Caller of(HttpServletRequest request) {
        if (request.getAttribute(Caller.class.getName()) instanceof Caller known) {
            return known;
        }
        throw new ProblemException(ProblemCode.UNAUTHENTICATED, "nobody was let in with this request (expected: Authorization: Bearer)");
    }

    /** Says who asks, to everything that looks at this request later. */
    void ask(HttpServletRequest request) {
        request.setAttribute(Caller.class.getName(), this);
    }
}

package io.espalier.api;

import java.util.List;
import java.util.regex.Pattern;

import jakarta.servlet.http.HttpServletRequest;

import io.espalier.recipe.Violation;
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

    private static final Pattern PROJECT = Pattern.compile("[a-z0-9][a-z0-9-]{0,62}");
    private static final String PROJECTS = "1 to 63 of a-z, 0-9 and -, not beginning with -";
    private static final String DEFAULT_PROJECT = "default";

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

    /** Whose a thing is of which a request says {@code project} or, {@code null}, nothing: then the caller's, or, where he sees all, {@code default}'s. */
    String owner(String asked) {
        return asked != null ? asked : project != null ? project : DEFAULT_PROJECT;
    }

    /** What is wrong with the project that a request names for something new: that it is none, or another than the caller's. */
    List<Violation> foreign(String asked) {
        if (asked == null || PROJECT.matcher(asked).matches() && sees(asked)) {
            return List.of();
        }
        return List.of(new Violation("project", Given.printable(asked), PROJECT.matcher(asked).matches()
                ? "absent, or " + project + ", the project of your token"
                : PROJECTS));
    }

    /**
     * The project whose names an address means.
     *
     * @param asked the parameter {@code project}; {@code null}: absent
     * @throws ProblemException when it names none
     */
    String whose(String asked) {
        if (asked != null && !PROJECT.matcher(asked).matches()) {
            throw ProblemException.violated(ProblemCode.INVALID_REQUEST,
                    List.of(new Violation("project", Given.printable(asked), PROJECTS)));
        }
        return owner(asked);
    }

    /** Hands the caller of a request to the controllers. */
    @Component
    static final class Argument implements HandlerMethodArgumentResolver, WebMvcConfigurer {

        @Override
        public void addArgumentResolvers(List<HandlerMethodArgumentResolver> resolvers) {
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

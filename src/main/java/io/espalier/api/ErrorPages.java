package io.espalier.api;

import java.io.IOException;

import jakarta.servlet.RequestDispatcher;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.core.StandardHost;
import org.apache.catalina.valves.ErrorReportValve;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.boot.webmvc.error.ErrorController;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatusCode;
import org.springframework.stereotype.Controller;
import org.springframework.web.bind.annotation.RequestMapping;

/**
 * Errors that never reach a controller are problems too, not HTML: those the container forwards, and those it refuses before there is anything to
 * forward.
 */
@Controller
final class ErrorPages implements ErrorController {

    /** Bytes of a refused body that are read and dropped so that the client, still sending, gets to see the answer. */
    private static final String MAX_SWALLOW = String.valueOf(64L << 20);

    @RequestMapping("${spring.web.error.path:${error.path:/error}}")
    void forwarded(HttpServletRequest request, HttpServletResponse response) throws IOException {
        Object status = request.getAttribute(RequestDispatcher.ERROR_STATUS_CODE);
        Exception cause = request.getAttribute(RequestDispatcher.ERROR_EXCEPTION) instanceof Exception e ? e : null;
        // why: without a status nobody forwarded; somebody typed the address.
        HttpStatusCode known = HttpStatusCode.valueOf(status instanceof Integer code ? code : 404);
        allowPatch(request, response);
        Problem.of(Problems.byStatus(known, cause, request), request).send(request, response);
    }

    /** Of TRACE, which it refuses itself, Tomcat says what a servlet can do at all, and knows of no PATCH. */
    private static void allowPatch(HttpServletRequest request, HttpServletResponse response) {
        String allowed = response.getHeader(HttpHeaders.ALLOW);
        if ("TRACE".equals(method(request)) && allowed != null && !allowed.contains("PATCH")) {
            response.setHeader(HttpHeaders.ALLOW, allowed + ", PATCH");
        }
    }

    /** As the client sent it; what is forwarded is a GET. */
    static String method(HttpServletRequest request) {
        return request.getAttribute(RequestDispatcher.ERROR_METHOD) instanceof String sent ? sent : request.getMethod();
    }

    /** Tomcat's own last word, for addresses it cannot even decode. */
    public static final class ProblemValve extends ErrorReportValve {
        @Override
        protected void report(Request request, Response response, Throwable thrown) {
            if (response.getStatus() < 400 || response.getContentWritten() > 0 || !response.setErrorReported()) {
                return;
            }
            try {
                HttpStatusCode status = HttpStatusCode.valueOf(response.getStatus());
                allowPatch(request, response);
                Problem.of(Problems.byStatus(status, thrown instanceof Exception e ? e : null, request), request).send(request, response);
                response.finishResponse();
            } catch (IOException e) {
                container.getLogger().debug("the client went away", e);
            }
        }
    }

    @Configuration(proxyBeanMethods = false)
    static class Wiring {
        @Bean
        WebServerFactoryCustomizer<TomcatServletWebServerFactory> problemsFromTomcat() {
            return factory -> {
                factory.addContextCustomizers(
                        context -> ((StandardHost) context.getParent()).setErrorReportValveClass(ProblemValve.class.getName()));
                factory.addConnectorCustomizers(connector -> connector.setProperty("maxSwallowSize", MAX_SWALLOW));
            };
        }
    }
}

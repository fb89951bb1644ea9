package io.espalier.telemetry;

import java.util.regex.Pattern;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationPredicate;
import org.springframework.http.server.observation.ServerRequestObservationContext;
import org.springframework.stereotype.Component;

/** Who asks for health or metrics is no client: such requests make no traces and are not counted, or they would be most of both. */
@Component
final class ProbesAside implements ObservationPredicate {

    private static final Pattern PROBES = Pattern.compile("/livez|/readyz|/actuator(/.*)?");

    @Override
    public boolean test(String name, Observation.Context context) {
        return !(context instanceof ServerRequestObservationContext request)
                || !PROBES.matcher(request.getCarrier().getRequestURI()).matches();
    }
}

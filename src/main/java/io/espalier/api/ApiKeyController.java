package io.espalier.api;

import java.io.IOException;
import java.net.URI;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

import jakarta.servlet.http.HttpServletRequest;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.espalier.recipe.Violation;
import io.espalier.security.ApiKey;
import io.espalier.security.ApiKeys;
import io.espalier.security.Role;
import org.springframework.http.CacheControl;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/** Keys are given out here, once, and taken back. An administrator of one project gives out and sees only keys of that project. */
@RestController
@RequestMapping(path = ApiKeyController.PATH, produces = MediaType.APPLICATION_JSON_VALUE)
final class ApiKeyController {

    static final String PATH = "/v1/api-keys";

    private static final Instant LATEST = Instant.parse("9999-12-31T23:59:59Z");

    private final ApiKeys keys;
    private final Orders orders;
    private final Clock clock;

    ApiKeyController(ApiKeys keys, Orders orders, Clock clock) {
        this.keys = keys;
        this.orders = orders;
        this.clock = clock;
    }

    /** What is asked for. */
    @JsonNaming(SnakeCaseStrategy.class)
    record Wanted(String name, String project, Role role, Instant expiresAt) {}

    /** @param token the key itself */
    record Created(@JsonUnwrapped ApiKey key, String token) {

        /** Without the key. */
        @Override
        public String toString() {
            return key.toString();
        }
    }

    @PostMapping(consumes = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<Created> create(HttpServletRequest request, Caller caller) throws IOException {
        Wanted wanted = orders.read(request, "ApiKeyOrder", Wanted.class);
        List<Violation> violations = new ArrayList<>();
        String project = wanted.project() == null ? caller.project() : wanted.project();
        violations.addAll(caller.foreign(wanted.project()));
        if (wanted.expiresAt() != null && !(wanted.expiresAt().isAfter(clock.instant()) && wanted.expiresAt().isBefore(LATEST))) {
            violations.add(new Violation("expires_at", wanted.expiresAt().toString(), "a time to come, before the year 10000"));
        }
        if (!violations.isEmpty()) {
            throw ProblemException.violated(ProblemCode.INVALID_REQUEST, violations);
        }
        ApiKeys.Created created = keys.create(wanted.name(), project, wanted.role(), wanted.expiresAt(), caller.name());
        return ResponseEntity.created(URI.create(PATH + "/" + created.key().id())).cacheControl(CacheControl.noStore())
                .body(new Created(created.key(), created.text()));
    }

    @GetMapping
    Page.Whole<ApiKey> list(Caller caller) {
        return new Page.Whole<>(keys.list(caller.project()));
    }

    @GetMapping("/{id}")
    ApiKey get(@PathVariable String id, Caller caller) {
        return keys.find(id, caller.project()).orElseThrow(() -> unknown(id));
    }

    @DeleteMapping("/{id}")
    ResponseEntity<Void> revoke(@PathVariable String id, Caller caller) {
        if (!keys.revoke(id, caller.project(), caller.name())) {
            throw unknown(id);
        }
        return ResponseEntity.noContent().build();
    }

    private static ProblemException unknown(String id) {
        return new ProblemException(ProblemCode.API_KEY_NOT_FOUND, "no API key has the id " + Given.printable(id));
    }
}

package io.espalier.api;

import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;

import io.espalier.recipe.Violation;
import io.espalier.webhook.Delivery;
import io.espalier.webhook.KeyFileException;
import io.espalier.webhook.Webhook;
import io.espalier.webhook.Webhooks;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.CacheControl;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PatchMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

@RestController
@RequestMapping(path = WebhookController.PATH, produces = MediaType.APPLICATION_JSON_VALUE)
final class WebhookController {

    static final String PATH = "/v1/webhooks";

    private static final Logger log = LoggerFactory.getLogger(WebhookController.class);
    private static final String LIMIT = "50";
    private static final int MAX_LIMIT = 200;
    private static final String LIMITS = "an integer from 1 to " + MAX_LIMIT;

    private final Webhooks webhooks;
    private final Orders orders;

    WebhookController(Webhooks webhooks, Orders orders) {
        this.webhooks = webhooks;
        this.orders = orders;
    }

    @PostMapping(consumes = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<WebhookView> create(HttpServletRequest request, Caller caller) throws IOException {
        Orders.Posted<WebhookView.Order> posted = orders.readPosted(request, "WebhookOrder", WebhookView.Order.class,
                ProblemCode.INVALID_WEBHOOK);
        WebhookView.Order order = posted.document();
        List<Violation> violations = new ArrayList<>(caller.foreign(order.project()));
        Webhook.Wanted wanted = new Webhook.Wanted(caller.owner(violations.isEmpty() ? order.project() : null), order.url(),
                order.events() == null ? List.of() : order.events(), order.description() == null ? "" : order.description(),
                order.secretRef());
        Optional<Webhooks.Posted> before = violations.isEmpty()
                ? sealed(() -> webhooks.posted(wanted.project(), posted.key()))
                : Optional.empty();
        if (before.isPresent()) {
            return told(before.get());
        }
        violations.addAll(webhooks.violations(wanted.url()));
        violations.addAll(webhooks.violations(wanted));
        refuse(violations);
        return told(sealed(() -> webhooks.create(wanted, posted.key()))
                .orElseThrow(() -> ProblemException.violated(ProblemCode.INVALID_WEBHOOK, List.of(webhooks.full(wanted.project())))));
    }

    private static ResponseEntity<WebhookView> told(Webhooks.Posted posted) {
        ResponseEntity.BodyBuilder answer = fresh(HttpStatus.CREATED)
                .location(URI.create(WebhookView.href(posted.made().webhook().id())));
        if (posted.replayed()) {
            answer.header(PostKey.REPLAYED, "true");
        }
        return answer.body(WebhookView.of(posted.made()));
    }

    @GetMapping
    ResponseEntity<Page<WebhookView>> list(@RequestParam(required = false) String cursor,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit,
            Caller caller) {
        String after = cursor == null ? null : Page.Cursor.parse(cursor, "whk_").afterId();
        // why: one more than asked for says whether there is a next page
        List<Webhook> found = webhooks.list(caller.project(), after, limit + 1);
        List<Webhook> page = found.subList(0, Math.min(limit, found.size()));
        String next = found.size() > limit ? new Page.Cursor(page.getLast().id()).text() : null;
        return fresh(HttpStatus.OK).body(new Page<>(page.stream().map(WebhookView::of).toList(), next));
    }

    @GetMapping("/{id}")
    ResponseEntity<WebhookView> get(@PathVariable String id, Caller caller) {
        return fresh(HttpStatus.OK).body(WebhookView.of(known(id, caller)));
    }

    @PatchMapping(path = "/{id}", consumes = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<WebhookView> change(@PathVariable String id, HttpServletRequest request, Caller caller) throws IOException {
        known(id, caller);
        Webhook.Change change = orders.read(request, "WebhookChange", Webhook.Change.class, ProblemCode.INVALID_WEBHOOK);
        if (change.url() != null) {
            refuse(webhooks.violations(change.url()));
        }
        return fresh(HttpStatus.OK).body(WebhookView.of(webhooks.change(id, change).orElseThrow(() -> unknown(id))));
    }

    @DeleteMapping("/{id}")
    ResponseEntity<Void> delete(@PathVariable String id, Caller caller) {
        if (!webhooks.delete(known(id, caller).id())) {
            throw unknown(id);
        }
        return ResponseEntity.noContent().build();
    }

    @PostMapping("/{id}/rotate-secret")
    ResponseEntity<WebhookView> rotate(@PathVariable String id, Caller caller) {
        if (known(id, caller).secretRef() != null) {
            throw new ProblemException(ProblemCode.WEBHOOK_STATE,
                    "the secret of " + id + " is in a file (expected: one that was made here); change the file");
        }
        return fresh(HttpStatus.OK).body(WebhookView.of(sealed(() -> webhooks.rotate(id)).orElseThrow(() -> unknown(id))));
    }

    @PostMapping("/{id}/test")
    ResponseEntity<WebhookView.Sent> test(@PathVariable String id, Caller caller) {
        return fresh(HttpStatus.ACCEPTED).body(WebhookView.Sent.of(id, webhooks.test(known(id, caller))));
    }

    @GetMapping("/{id}/deliveries")
    ResponseEntity<Page<WebhookView.Sent>> deliveries(@PathVariable String id, @RequestParam(required = false) String state,
            @RequestParam(required = false) String cursor,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit,
            Caller caller) {
        known(id, caller);
        String after = cursor == null ? null : Page.Cursor.parse(cursor, "dlv_").afterId();
        List<Delivery> found = webhooks.deliveries(id, state == null ? null : state(state), after, limit + 1);
        List<Delivery> page = found.subList(0, Math.min(limit, found.size()));
        String next = found.size() > limit ? new Page.Cursor(page.getLast().id()).text() : null;
        return fresh(HttpStatus.OK).body(new Page<>(page.stream().map(delivery -> WebhookView.Sent.of(id, delivery)).toList(), next));
    }

    @PostMapping("/{id}/deliveries/{delivery}/redeliver")
    ResponseEntity<WebhookView.Sent> redeliver(@PathVariable String id, @PathVariable String delivery, Caller caller) {
        Webhook webhook = known(id, caller);
        if (webhooks.delivery(id, delivery).isEmpty()) {
            throw noMessage(delivery);
        }
        if (!webhook.enabled()) {
            throw new ProblemException(ProblemCode.WEBHOOK_STATE,
                    id + " is disabled, " + webhook.disabledReason().json() + " (expected: enabled); enable it first");
        }
        return fresh(HttpStatus.ACCEPTED)
                .body(WebhookView.Sent.of(id, webhooks.redeliver(id, delivery).orElseThrow(() -> noMessage(delivery))));
    }

    /** Does what makes a secret. What is wrong with the keys is for the operator alone, so it is in the log. */
    private static <T> T sealed(Supplier<T> verb) {
        try {
            return verb.get();
        } catch (KeyFileException e) {
            log.error("no secret of a webhook can be made: {}", e.getMessage());
            throw new ProblemException(ProblemCode.UNAVAILABLE, "no secret can be encrypted here now, because of the file of keys "
                    + "(expected: one that can be used; the service's log says what is wrong with it)");
        }
    }

    private Webhook known(String id, Caller caller) {
        return webhooks.find(id).filter(webhook -> caller.sees(webhook.project())).orElseThrow(() -> unknown(id));
    }

    private static ProblemException unknown(String id) {
        return new ProblemException(ProblemCode.WEBHOOK_NOT_FOUND, "no webhook has the id " + Given.printable(id));
    }

    private static ProblemException noMessage(String id) {
        return new ProblemException(ProblemCode.DELIVERY_NOT_FOUND, "no message to this webhook has the id " + Given.printable(id));
    }

    private static void refuse(List<Violation> violations) {
        if (!violations.isEmpty()) {
            throw ProblemException.violated(ProblemCode.INVALID_WEBHOOK,
                    violations.stream()
                            .map(violation -> new Violation(violation.field(), Given.printable(violation.given()), violation.expected()))
                            .toList());
        }
    }

    private static ResponseEntity.BodyBuilder fresh(HttpStatus status) {
        return ResponseEntity.status(status).cacheControl(CacheControl.noStore());
    }

    private static Delivery.State state(String word) {
        return Arrays.stream(Delivery.State.values()).filter(state -> state.json().equals(word)).findFirst()
                .orElseThrow(() -> ProblemException.violated(ProblemCode.INVALID_REQUEST,
                        List.of(new Violation("state", Given.printable(word),
                                "one of "
                                        + String.join(", ", Arrays.stream(Delivery.State.values()).map(Delivery.State::json).toList())))));
    }
}

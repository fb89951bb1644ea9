package io.espalier.api;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

import jakarta.servlet.http.HttpServletRequest;

import io.espalier.catalog.Catalog;
import io.espalier.catalog.Corpora;
import io.espalier.catalog.Corpus;
import io.espalier.catalog.CorpusException;
import io.espalier.catalog.TokenCounts;
import io.espalier.job.CorpusNeeds;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.Violation;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Texts with a name. */
@RestController
@RequestMapping(path = CorpusController.PATH, produces = MediaType.APPLICATION_JSON_VALUE)
final class CorpusController {

    static final String PATH = "/v1/corpora";

    private static final String LINES = "application/jsonl";
    private static final Set<Charset> READ = Set.of(StandardCharsets.UTF_8, StandardCharsets.US_ASCII);
    private static final String UNICODE = " characters of Unicode text without NUL";

    private final Corpora corpora;
    private final TokenCounts counts;
    private final Catalog catalog;
    private final CorpusNeeds needs;
    private final Orders orders;

    CorpusController(Corpora corpora, TokenCounts counts, Catalog catalog, CorpusNeeds needs, Orders orders) {
        this.corpora = corpora;
        this.counts = counts;
        this.catalog = catalog;
        this.needs = needs;
        this.orders = orders;
    }

    /** What a verb of the catalog does. */
    private interface Verb<T> {
        T call() throws IOException;
    }

    @GetMapping
    Page.Whole<CorpusView> list(Caller caller, @RequestParam(required = false) String project) {
        String whose = project == null ? caller.project() : caller.whose(project);
        boolean hidden = project != null && !caller.sees(project);
        return new Page.Whole<>(hidden ? List.of() : corpora.list(whose).stream().map(corpus -> CorpusView.of(corpus, caller)).toList());
    }

    @GetMapping("/{name}")
    CorpusView get(Caller caller, @PathVariable String name, @RequestParam(required = false) String project) {
        return CorpusView.of(known(caller, name, project), caller);
    }

    @PostMapping(consumes = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<CorpusView> register(Caller caller, HttpServletRequest request) throws IOException {
        CorpusOrder order = orders.read(request, "CorpusOrder", CorpusOrder.class, ProblemCode.INVALID_CORPUS,
                read -> read.violations(caller));
        Corpora.Label label = order.label(caller);
        return created(caller, told(() -> {
            if (order.text() != null) {
                return corpora.take(label, new ByteArrayInputStream(order.text().getBytes(StandardCharsets.UTF_8)), Corpus.Source.TEXT);
            }
            return order.path() != null
                    ? corpora.name(label, order.path())
                    : order.url() != null ? corpora.fetch(label, order.url()) : corpora.mix(label, order.mix());
        }));
    }

    @PutMapping(path = "/{name}/content", consumes = {MediaType.TEXT_PLAIN_VALUE, LINES})
    ResponseEntity<CorpusView> upload(Caller caller, @PathVariable String name, @RequestParam(required = false) String project,
            @RequestParam(required = false) String field, @RequestParam(defaultValue = "") String description, HttpServletRequest request)
            throws IOException {
        Orders.requirePlain(request);
        MediaType type = MediaType.parseMediaType(request.getContentType());
        if (type.getCharset() != null && !READ.contains(type.getCharset())) {
            throw new ProblemException(ProblemCode.UNSUPPORTED_MEDIA_TYPE,
                    Given.printable(request.getContentType()) + " (expected: UTF-8)");
        }
        boolean lines = type.isCompatibleWith(MediaType.parseMediaType(LINES));
        List<Violation> wrong = new ArrayList<>(CorpusOrder.labelViolations(name, project, caller));
        if (field != null && (!lines || field.isEmpty() || field.length() > 256 || !Given.storable(field))) {
            wrong.add(new Violation("field", Given.printable(field),
                    lines ? "1 to 256" + UNICODE : "absent, only " + LINES + " has fields"));
        }
        if (description.length() > 1000 || !Given.storable(description)) {
            wrong.add(new Violation("description", Given.printable(description), "at most 1000" + UNICODE));
        }
        if (!wrong.isEmpty()) {
            throw ProblemException.violated(ProblemCode.INVALID_REQUEST, wrong);
        }
        Corpora.Label label = new Corpora.Label(name, caller.owner(project), description,
                lines ? field == null ? "text" : field : null);
        return created(caller, told(() -> corpora.take(label, request.getInputStream(), Corpus.Source.UPLOAD)));
    }

    @DeleteMapping("/{name}")
    ResponseEntity<Void> delete(Caller caller, @PathVariable String name, @RequestParam(required = false) String project) {
        Corpus corpus = known(caller, name, project);
        told(() -> {
            corpora.delete(corpus, known -> needs.liveJob(known.project(), known.name(), known.path()));
            return null;
        });
        return ResponseEntity.noContent().build();
    }

    @GetMapping("/{name}/tokens")
    CorpusView.Tokens tokens(Caller caller, @PathVariable String name, @RequestParam String model,
            @RequestParam(required = false) String project) {
        Corpus corpus = known(caller, name, project);
        List<Violation> wrong = new ArrayList<>();
        Path directory = Given.storable(model) ? catalog.resolveModel(model, caller.whose(project), wrong) : null;
        String tokenizer = directory == null ? null : counts.tokenizer(directory);
        if (tokenizer == null) {
            throw ProblemException.violated(ProblemCode.INVALID_REQUEST, wrong.isEmpty()
                    ? List.of(new Violation("model", Given.printable(model), "a model with tokenizer.json"))
                    : wrong);
        }
        return told(() -> counts.of(corpus, directory, tokenizer))
                .map(counted -> new CorpusView.Tokens(corpus.name(), model, tokenizer, counted.tokens(), counted.countedAt(), null))
                .orElse(new CorpusView.Tokens(corpus.name(), model, tokenizer, null, null,
                        "nobody counted them yet, and this process has no worker that could"));
    }

    private Corpus known(Caller caller, String name, String project) {
        String whose = caller.whose(project);
        return (Given.storable(name) && caller.sees(whose) ? corpora.find(name, whose) : java.util.Optional.<Corpus>empty()).orElseThrow(
                () -> new ProblemException(ProblemCode.CORPUS_NOT_FOUND, "no corpus is registered as " + Given.printable(name)));
    }

    private static ResponseEntity<CorpusView> created(Caller caller, Corpora.Registered registered) {
        return ResponseEntity.status(registered.created() ? HttpStatus.CREATED : HttpStatus.OK)
                .location(URI.create(PATH + "/" + registered.corpus().name())).body(CorpusView.of(registered.corpus(), caller));
    }

    private static <T> T told(Verb<T> verb) {
        try {
            return verb.call();
        } catch (CorpusException e) {
            throw e.violations().isEmpty()
                    ? new ProblemException(code(e.reason()), e.getMessage())
                    : ProblemException.violated(ProblemCode.INVALID_CORPUS, e.violations());
        } catch (PruningException e) {
            throw new ProblemException(ProblemCode.INVALID_CORPUS, e.getMessage());
        } catch (IOException e) {
            throw new ProblemException(ProblemCode.INVALID_REQUEST, "the text stopped in the middle; nothing of it was kept");
        }
    }

    private static ProblemCode code(CorpusException.Reason reason) {
        return switch (reason) {
            case INVALID -> ProblemCode.INVALID_CORPUS;
            case EXISTS -> ProblemCode.CORPUS_EXISTS;
            case IN_USE -> ProblemCode.CORPUS_IN_USE;
            case TOO_LARGE -> ProblemCode.BODY_TOO_LARGE;
            case DISK_FULL -> ProblemCode.DISK_FULL;
        };
    }
}

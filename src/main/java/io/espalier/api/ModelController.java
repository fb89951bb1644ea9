package io.espalier.api;

import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;

import io.espalier.catalog.Model;
import io.espalier.catalog.ModelOrder;
import io.espalier.catalog.ModelSettings;
import io.espalier.catalog.Models;
import io.espalier.catalog.Registrar;
import io.espalier.catalog.Uploads;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.Violation;
import org.springframework.http.CacheControl;
import org.springframework.http.HttpHeaders;
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

/** Models: registered, fetched, sent in parts, looked at, forgotten. */
@RestController
@RequestMapping(path = ModelController.PATH, produces = MediaType.APPLICATION_JSON_VALUE)
final class ModelController {

    static final String PATH = "/v1/models";

    private static final String LIMIT = "50";
    private static final int MAX_LIMIT = 200;
    private static final String LIMITS = "an integer from 1 to " + MAX_LIMIT;
    private static final String OFFSET = "Upload-Offset";
    private static final Pattern CONTENT_RANGE = Pattern.compile("bytes (\\d{1,18})-(\\d{1,18})/(\\d{1,18})");

    private final Models models;
    private final Registrar registrar;
    private final Uploads uploads;
    private final PruningJobs jobs;
    private final Orders orders;
    private final long maxPart;

    ModelController(Models models, Registrar registrar, Uploads uploads, PruningJobs jobs, Orders orders, ModelSettings settings) {
        this.models = models;
        this.registrar = registrar;
        this.uploads = uploads;
        this.jobs = jobs;
        this.orders = orders;
        this.maxPart = settings.maxPart().toBytes();
    }

    @PostMapping(consumes = MediaType.APPLICATION_JSON_VALUE)
    ResponseEntity<ModelView> register(Caller caller, HttpServletRequest request) throws IOException {
        List<Violation> shape = new ArrayList<>();
        ModelOrder order = orders.read(request, "ModelOrder", ModelOrder.class, shape);
        List<Violation> found = new ArrayList<>(shape);
        Model model = null;
        if (order != null) {
            List<Violation> foreign = caller.foreign(order.project());
            found.addAll(foreign);
            model = registrar.register(order, caller.owner(foreign.isEmpty() ? order.project() : null), found);
        }
        List<Violation> further = found.subList(shape.size(), found.size());
        further.removeIf(violation -> shape.stream().anyMatch(said -> explains(said.field(), violation.field())));
        refuse(found);
        // why not by its state: a short fetch may have ended by now
        return fresh(order.source() != null ? HttpStatus.ACCEPTED : HttpStatus.CREATED).location(URI.create(ModelView.href(model)))
                .body(ModelView.of(model));
    }

    @GetMapping
    ResponseEntity<Page<ModelView>> list(Caller caller, @RequestParam(required = false) String project,
            @RequestParam(required = false) String cursor,
            @RequestParam(defaultValue = LIMIT) @Min(value = 1, message = LIMITS) @Max(value = MAX_LIMIT, message = LIMITS) int limit) {
        Models.Place after = cursor == null ? null : ModelCursor.parse(cursor);
        // why: one more than asked for says whether there is a next page
        String whose = project == null ? caller.project() : caller.whose(project);
        boolean hidden = project != null && !caller.sees(project);
        List<Model> found = hidden ? List.of() : models.list(whose, after, limit + 1);
        List<Model> page = found.subList(0, Math.min(limit, found.size()));
        String next = found.size() > limit ? ModelCursor.of(page.getLast()) : null;
        return fresh(HttpStatus.OK).body(new Page<>(page.stream().map(ModelView::listed).toList(), next));
    }

    @GetMapping("/{name}")
    ResponseEntity<ModelView> get(Caller caller, @PathVariable String name, @RequestParam(required = false) String project) {
        return fresh(HttpStatus.OK).body(ModelView.of(known(caller, name, project)));
    }

    @DeleteMapping("/{name}")
    ResponseEntity<Void> forget(Caller caller, @PathVariable String name, @RequestParam(required = false) String project) {
        Model model = known(caller, name, project);
        registrar.forget(model, path -> jobs.needs(model.project(), path));
        return ResponseEntity.noContent().build();
    }

    @GetMapping("/{name}/files/{file}")
    ResponseEntity<Uploads.Received> received(Caller caller, @PathVariable String name, @PathVariable String file,
            @RequestParam(required = false) String project) {
        return stands(file(known(caller, name, project), file));
    }

    @PutMapping(path = "/{name}/files/{file}", consumes = MediaType.APPLICATION_OCTET_STREAM_VALUE)
    ResponseEntity<Uploads.Received> append(Caller caller, @PathVariable String name, @PathVariable String file,
            @RequestParam(required = false) String project, HttpServletRequest request) throws IOException {
        Orders.requirePlain(request);
        Model model = known(caller, name, project);
        Uploads.Received there = file(model, file);
        Uploads.Part part = part(request, there);
        try {
            return stands(uploads.append(model, there, part, request.getInputStream()));
        } catch (Uploads.BrokenPartException e) {
            throw new ProblemException(ProblemCode.INVALID_REQUEST, file + ": " + e.getMessage());
        }
    }

    @PostMapping("/{name}/complete")
    ResponseEntity<ModelView> complete(Caller caller, @PathVariable String name, @RequestParam(required = false) String project) {
        List<Violation> found = new ArrayList<>();
        uploads.complete(known(caller, name, project), found);
        refuse(found);
        return fresh(HttpStatus.ACCEPTED).body(ModelView.of(known(caller, name, project)));
    }

    /** Whether what was taken out of the body is why another field looks wrong. */
    private static boolean explains(String said, String field) {
        return field.isEmpty() || said.isEmpty() || said.equals(field) || said.startsWith(field) || field.startsWith(said + ".");
    }

    /** The part that a body is said to be; without a word, the whole file. */
    private Uploads.Part part(HttpServletRequest request, Uploads.Received file) {
        String said = request.getHeader(HttpHeaders.CONTENT_RANGE);
        if (said == null && file.bytes() == 0) {
            throw invalid(HttpHeaders.CONTENT_RANGE, null, "nothing to send: the file is empty, and whole as it is");
        }
        Matcher range = CONTENT_RANGE.matcher(said == null ? "bytes 0-" + (file.bytes() - 1) + "/" + file.bytes() : said);
        if (!range.matches() || Long.parseLong(range.group(1)) > Long.parseLong(range.group(2))
                || Long.parseLong(range.group(3)) != file.bytes() || Long.parseLong(range.group(2)) >= file.bytes()) {
            throw invalid(HttpHeaders.CONTENT_RANGE, said, "bytes first-last/" + file.bytes() + ", within the file");
        }
        Uploads.Part part = new Uploads.Part(Long.parseLong(range.group(1)), Long.parseLong(range.group(2)), file.bytes());
        if (part.length() > maxPart) {
            throw new ProblemException(ProblemCode.BODY_TOO_LARGE, "a part of " + part.length() + " bytes (expected: at most " + maxPart
                    + ", espalier.models.max-part; send the file in several parts)");
        }
        long length = request.getContentLengthLong();
        if (length >= 0 && length != part.length()) {
            throw invalid(HttpHeaders.CONTENT_LENGTH, String.valueOf(length), part.length() + ", as Content-Range says");
        }
        return part;
    }

    private Uploads.Received file(Model model, String file) {
        return uploads.find(model, file).orElseThrow(() -> new ProblemException(ProblemCode.FILE_NOT_FOUND,
                Given.printable(model.name()) + " has no file " + Given.printable(file)));
    }

    private Model known(Caller caller, String name, String project) {
        String whose = caller.whose(project);
        return (Given.storable(name) && caller.sees(whose) ? models.find(whose, name) : java.util.Optional.<Model>empty()).orElseThrow(
                () -> new ProblemException(ProblemCode.MODEL_NOT_FOUND, "no model is registered as " + Given.printable(name)));
    }

    private static void refuse(List<Violation> found) {
        if (!found.isEmpty()) {
            throw ProblemException.violated(ProblemCode.INVALID_MODEL, found.stream().map(violation -> new Violation(violation.field(),
                    violation.given() == null ? null : Given.printable(violation.given()), violation.expected())).toList());
        }
    }

    private static ProblemException invalid(String what, String given, String expected) {
        return ProblemException.violated(ProblemCode.INVALID_REQUEST,
                List.of(new Violation(what, given == null ? null : Given.printable(given), expected)));
    }

    private static ResponseEntity<Uploads.Received> stands(Uploads.Received file) {
        return fresh(HttpStatus.OK).header(OFFSET, String.valueOf(file.received())).body(file);
    }

    private static ResponseEntity.BodyBuilder fresh(HttpStatus status) {
        return ResponseEntity.status(status).cacheControl(CacheControl.noStore());
    }
}

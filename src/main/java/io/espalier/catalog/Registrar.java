package io.espalier.catalog;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.stream.Stream;

import io.espalier.catalog.ModelConflictException.Reason;
import io.espalier.checkpoint.MalformedCheckpointException;
import io.espalier.recipe.Violation;
import io.espalier.remote.Elsewhere;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;

/** Takes models into the catalog, and out of it. */
@Component
public class Registrar {

    private static final Logger log = LoggerFactory.getLogger(Registrar.class);
    private static final String MAIN = "main";

    private final Models models;
    private final ModelDirectories directories;
    private final ModelSettings settings;
    private final Roots roots;
    private final Elsewhere elsewhere;
    private final Intake intake;

    Registrar(Models models, ModelDirectories directories, CatalogSettings catalog, ModelSettings settings, Elsewhere elsewhere,
            Intake intake) {
        this.models = models;
        this.directories = directories;
        this.settings = settings;
        this.roots = new Roots(catalog.roots());
        this.elsewhere = elsewhere;
        this.intake = intake;
    }

    /**
     * Takes a model in. A directory is looked into at once; a source elsewhere is fetched from now on; of an upload the files are awaited. One that failed to be
     * fetched goes on when the same is posted again.
     *
     * @param project whose it is
     * @param found takes everything that is wrong; nothing is changed when something is in it
     * @return how it stands; {@code null} when anything was found
     * @throws ModelConflictException when the name is taken
     * @throws NoRoomException when the disk has no room for what is announced
     */
    public Model register(ModelOrder order, String project, List<Violation> found) {
        found.addAll(order.violations());
        Model model = drafted(order, project, found);
        if (!found.isEmpty()) {
            return null;
        }
        if (order.upload() != null) {
            prepare(model);
        }
        if (!models.add(model)) {
            return goOn(model);
        }
        intake.wake();
        return models.find(model.id()).orElse(model);
    }

    private Model drafted(ModelOrder order, String project, List<Violation> found) {
        UUID id = UUID.randomUUID();
        if (order.path() != null) {
            return atPath(order, project, id, found);
        }
        if (order.source() != null) {
            return draft(order, project, id, ModelState.FETCHING, checkedSource(order.source(), project, found), List.of(), null, null);
        }
        if (order.upload() == null || !found.isEmpty()) {
            return null;
        }
        List<ModelFile> files = order.upload().wanted();
        BigInteger bytes = files.stream().map(file -> BigInteger.valueOf(file.bytes())).reduce(BigInteger.ZERO, BigInteger::add);
        if (bytes.compareTo(BigInteger.valueOf(settings.maxBytes().toBytes())) > 0) {
            found.add(new Violation("upload.files", bytes + " bytes", "at most " + settings.maxBytes().toBytes()
                    + " bytes, espalier.models.max-bytes"));
            return null;
        }
        return draft(order, project, id, ModelState.UPLOADING, ModelSource.ofUpload(), files, bytes.longValue(), null);
    }

    private Model draft(ModelOrder order, String project, UUID id, ModelState state, ModelSource source, List<ModelFile> files, Long bytes,
            Inspection inspection) {
        return new Model(id, project, order.name(), directories.of(id).toString(), Kind.REGISTERED,
                order.description() == null ? "" : order.description(), null, state, source, null, bytes, 0, null, inspection, files);
    }

    private Model atPath(ModelOrder order, String project, UUID id, List<Violation> found) {
        Path directory = roots.directory(order.path(), "path", found);
        if (directory == null) {
            return null;
        }
        try {
            Inspection inspection = Inspection.of(directory, roots::allows);
            List<ModelFile> files = filesOf(directory);
            long bytes = files.stream().mapToLong(ModelFile::bytes).sum();
            return new Model(id, project, order.name(), directory.toString(), Kind.REGISTERED,
                    order.description() == null ? "" : order.description(), null, ModelState.READY, ModelSource.ofPath(order.path()), null,
                    bytes, bytes, null, inspection, files);
        } catch (MalformedCheckpointException e) {
            found.add(new Violation("path", order.path(), "a checkpoint in safetensors; " + e.getMessage()));
        } catch (UncheckedIOException | IOException e) {
            log.info("{} cannot be registered", directory, e);
            found.add(new Violation("path", order.path(), "a directory whose files this process may read"));
        }
        return null;
    }

    /** The visible files of a directory with their lengths, in name order; sums are not known. */
    static List<ModelFile> filesOf(Path directory) throws IOException {
        Predicate<Path> visible = file -> Files.isRegularFile(file) && !file.getFileName().toString().startsWith(".");
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(visible).sorted().map(file -> new ModelFile(file.getFileName().toString(), file.toFile().length(), null))
                    .toList();
        }
    }

    private ModelSource checkedSource(ModelSource source, String project, List<Violation> found) {
        if (source.s3() != null && found.isEmpty() && !settings.buckets().contains(source.bucket())) {
            found.add(new Violation("source.s3", source.s3(), settings.buckets().isEmpty()
                    ? "another source: no bucket may be named here (espalier.models.buckets)"
                    : "one of the buckets " + String.join(", ", settings.buckets())));
        }
        if (source.https() == null) {
            return source;
        }
        String base = source.https().replaceAll("/+$", "");
        checkAddress(base, project, source.tokenRef(), found);
        return new ModelSource(null, null, base, null, source.revision() == null ? MAIN : source.revision(), source.tokenRef());
    }

    private void checkAddress(String base, String project, String tokenRef, List<Violation> found) {
        URI uri = null;
        try {
            uri = URI.create(base);
        } catch (IllegalArgumentException e) {
            // said below, by the rules
        }
        // why so little said back: a user and a password, or a query, may be a secret
        String given = base.matches("[^@?#]*") ? base : "an address with a user, a query or a fragment";
        List<String> wrong = elsewhere.wrong(base);
        if (uri != null && (uri.getRawQuery() != null || uri.getPath() == null || !uri.getPath().matches("(/[A-Za-z0-9._~-]+)+")
                || uri.getPath().matches(".*/\\.\\.?(/.*|$)"))) {
            found.add(new Violation("source.https", given, "https://host/organisation/repository, without a query"));
        }
        wrong.forEach(expected -> found.add(new Violation("source.https", given, expected)));
        if (tokenRef != null && !elsewhere.hasSecret(project, tokenRef)) {
            found.add(new Violation("source.token_ref", tokenRef,
                    "the name of a file in espalier.secrets.directory, in it in the directory of the project unless that is default"));
        } else if (tokenRef != null && uri != null && uri.getHost() != null && !settings.tokenHosts().contains(uri.getHost())) {
            found.add(new Violation("source.token_ref", tokenRef, "absent, because tokens are sent only to "
                    + String.join(", ", settings.tokenHosts()) + " (espalier.models.token-hosts)"));
        }
    }

    private void prepare(Model model) {
        try {
            if (model.bytesTotal() > directories.room()) {
                throw new NoRoomException(
                        "the disk has no room for the model's " + model.bytesTotal() + " bytes; make room, then post again");
            }
            directories.prepare(model.id());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Model goOn(Model model) {
        if (model.source().upload() != null) {
            drop(model);
        }
        Model taken = models.find(model.project(), model.name()).orElse(null);
        boolean same = taken != null && taken.state() == ModelState.FAILED && model.state() == ModelState.FETCHING
                && model.source().equals(taken.source());
        if (same && models.move(taken.id(), ModelState.FAILED, ModelState.FETCHING)) {
            intake.wake();
            return models.find(taken.id()).orElse(taken);
        }
        throw new ModelConflictException(Reason.NAME, taken == null ? null : taken.state(), 0, "a model is registered as " + model.name()
                + " already (expected: a name that is free, or the same source again after it failed)");
    }

    /**
     * Forgets a model. Files are deleted where the service brought them in.
     *
     * @param needed whether a live job needs the directory at a path
     * @throws ModelConflictException when it is bundled, or needed
     */
    public void forget(Model model, Predicate<String> needed) {
        if (model.kind() == Kind.DEMO) {
            throw new ModelConflictException(Reason.STATE, model.state(), 0, model.name() + " is bundled with the service and stays");
        }
        if (!models.remove(model.id(), needed)) {
            throw new ModelConflictException(Reason.NEEDED, model.state(), 0, model.name()
                    + " is needed by a job that has not ended (expected: none); cancel the job or wait for its end");
        }
        intake.stop(model.id());
        if (model.source() != null && model.source().ours()) {
            drop(model);
        }
    }

    private void drop(Model model) {
        try {
            directories.remove(model.id());
        } catch (IOException e) {
            log.warn("files of {}, which nobody needs, stay behind", model.name(), e);
        }
    }
}

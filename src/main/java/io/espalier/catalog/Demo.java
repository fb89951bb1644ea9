package io.espalier.catalog;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.List;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.core.io.Resource;
import org.springframework.core.io.support.PathMatchingResourcePatternResolver;
import org.springframework.stereotype.Component;

/** The bundled model and texts, laid out on the disk before the first request, so that the first job needs no download. */
@Component
class Demo implements SmartInitializingSingleton {

    private static final Logger log = LoggerFactory.getLogger(Demo.class);
    private static final String MODEL = "tiny-qwen2moe";
    private static final String PROJECT = "default";

    private final Path directory;
    private final Models models;
    private final Corpora corpora;

    Demo(CatalogSettings settings, Models models, Corpora corpora) {
        this.directory = settings.demo();
        this.models = models;
        this.corpora = corpora;
    }

    @Override
    public void afterSingletonsInstantiated() {
        try {
            layOut("demo/" + MODEL);
            layOut("demo/text");
        } catch (IOException e) {
            throw new UncheckedIOException("the bundled demo cannot be laid out under " + directory, e);
        }
        bundleModel();
        try {
            corpora.bundle("kjv-train", directory.resolve("text/kjv-train.txt"),
                    "The King James Bible, the part the demo model was trained on");
            corpora.bundle("kjv-test", directory.resolve("text/kjv-test.txt"),
                    "The King James Bible, the part the demo model has never seen");
        } catch (IOException e) {
            throw new UncheckedIOException("the bundled texts under " + directory + " cannot be read", e);
        }
    }

    private void bundleModel() {
        Path model = directory.resolve(MODEL);
        try {
            List<ModelFile> files = new ArrayList<>();
            for (ModelFile file : Registrar.filesOf(model)) {
                files.add(new ModelFile(file.name(), file.bytes(), Sums.of(model.resolve(file.name()), () -> {}).sha256()));
            }
            models.bundle(PROJECT, MODEL, model.toString(),
                    "A Qwen2-MoE of 4 layers, trained on the King James Bible so that pruning it costs something",
                    Inspection.of(model, path -> true), files);
        } catch (IOException e) {
            throw new UncheckedIOException("the bundled model cannot be read under " + directory, e);
        }
    }

    private void layOut(String folder) throws IOException {
        Path target = directory.resolve(folder.substring("demo/".length()));
        Files.createDirectories(target);
        for (Resource resource : new PathMatchingResourcePatternResolver().getResources("classpath:" + folder + "/*")) {
            Path file = target.resolve(resource.getFilename());
            if (!isSame(resource, file)) {
                // why aside and moved: a start that is killed here leaves no half file that looks whole
                Path aside = Files.createTempFile(target, ".", ".part");
                try (InputStream in = resource.getInputStream()) {
                    Files.copy(in, aside, StandardCopyOption.REPLACE_EXISTING);
                    Files.move(aside, file, StandardCopyOption.ATOMIC_MOVE);
                } finally {
                    Files.deleteIfExists(aside);
                }
                log.info("laid out {}", file);
            }
        }
    }

    private static boolean isSame(Resource resource, Path file) throws IOException {
        if (!Files.isRegularFile(file) || Files.size(file) != resource.contentLength()) {
            return false;
        }
        try (InputStream bundled = resource.getInputStream(); InputStream laidOut = Files.newInputStream(file)) {
            return MessageDigest.isEqual(sha256(bundled), sha256(laidOut));
        }
    }

    private static byte[] sha256(InputStream in) throws IOException {
        try (DigestInputStream sum = new DigestInputStream(in, MessageDigest.getInstance("SHA-256"))) {
            sum.transferTo(java.io.OutputStream.nullOutputStream());
            return sum.getMessageDigest().digest();
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }
}

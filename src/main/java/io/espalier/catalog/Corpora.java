package io.espalier.catalog;

import java.io.IOException;
import java.io.InputStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Collectors;

import io.espalier.catalog.CorpusException.Reason;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Violation;
import org.springframework.dao.DataIntegrityViolationException;
import org.springframework.stereotype.Component;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** All corpora that have a name. What is behind a name never changes: whoever wants another text takes another name. */
@Component
public class Corpora {

    /** More texts than anybody mixes; what a mixture of mixtures comes to in the end. */
    public static final int MOST_TEXTS = 256;

    private final CorpusRows rows;
    private final CorpusFiles files;
    private final Roots roots;
    private final Fetched fetched;
    private final TransactionTemplate transaction;
    private final Clock clock;

    Corpora(CorpusRows rows, CorpusFiles files, CatalogSettings settings, Fetched fetched, PlatformTransactionManager transactions,
            Clock clock) {
        this.rows = rows;
        this.files = files;
        this.roots = new Roots(settings.roots());
        this.fetched = fetched;
        this.transaction = new TransactionTemplate(transactions);
        this.clock = clock;
    }

    /**
     * What a corpus is called.
     *
     * @param field that holds the text of each line; {@code null} for plain text
     */
    public record Label(String name, String project, String description, String field) {}

    /** @param created whether it was not there before */
    public record Registered(Corpus corpus, boolean created) {}

    /** @param project whose names are meant; those of bundled corpora are everybody's */
    public Optional<Corpus> find(String name, String project) {
        return rows.find(name, project);
    }

    /**
     * By name.
     *
     * @param project whose; {@code null} for all
     */
    public List<Corpus> list(String project) {
        return rows.list(project);
    }

    /**
     * Takes a text in.
     *
     * @param source what it is called in the catalog; an upload whose bytes are there under this name already is that one
     * @throws CorpusException when it is not taken in; nothing is left of it
     * @throws IOException when the text stops in the middle
     */
    public Registered take(Label label, InputStream text, Corpus.Source source) throws IOException {
        Optional<Corpus> there = find(label.name, label.project);
        boolean upload = source == Corpus.Source.UPLOAD;
        if (there.isPresent() && !(upload && there.get().source() == source)) {
            throw exists(label);
        }
        CorpusFiles.Kept kept = files.keep(text, upload ? "" : source.json(), label.field);
        Corpus corpus = of(label, source, kept.file().toString(), kept.taken());
        // why the file stays when this throws: the row may be there, and only the answer was lost; without a row it is swept
        if (rows.insert(corpus)) {
            return new Registered(find(label.name, label.project).orElse(corpus), true);
        }
        files.delete(kept.file());
        return new Registered(find(label.name, label.project).filter(other -> upload && Objects.equals(other.sha256(), corpus.sha256())
                && Objects.equals(other.field(), corpus.field())).orElseThrow(() -> exists(label)), false);
    }

    /**
     * Fetches a text once.
     *
     * @throws CorpusException as above, or when the address may not be asked or does not answer with a text
     */
    public Registered fetch(Label label, String url) throws IOException {
        if (find(label.name, label.project).isPresent()) {
            throw exists(label);
        }
        try (InputStream text = fetched.open(url, files.maxBytes())) {
            return take(label, text, Corpus.Source.URL);
        }
    }

    /**
     * Gives a file a name.
     *
     * @throws CorpusException when it is not under a root, or cannot be used
     */
    public Registered name(Label label, String path) throws IOException {
        List<Violation> found = new ArrayList<>();
        Path file = roots.file(path, "path", found);
        boolean lines = path.endsWith(".jsonl");
        if (label.field != null && !lines) {
            found.add(new Violation("field", label.field, "absent, only a .jsonl path has fields"));
        }
        if (!found.isEmpty()) {
            throw new CorpusException(found);
        }
        String field = !lines ? null : label.field == null ? "text" : label.field;
        TextIntake.Taken taken = path.endsWith(".safetensors") ? sum(file) : files.look(file, "path", field);
        Corpus corpus = of(new Label(label.name, label.project, label.description, field), Corpus.Source.PATH, file.toString(), taken);
        return registered(label, rows.insert(corpus));
    }

    /**
     * Mixes corpora that are there.
     *
     * @throws CorpusException naming every part that cannot be one
     */
    public Registered mix(Label label, List<Corpus.Part> mix) {
        List<Violation> found = new ArrayList<>();
        List<Corpus> parts = new ArrayList<>();
        Set<String> named = new HashSet<>();
        for (int i = 0; i < mix.size(); i++) {
            String part = mix.get(i).corpus();
            Corpus known = find(part, label.project).orElse(null);
            if (part.equals(label.name)) {
                found.add(new Violation("mix[" + i + "].corpus", part, "another corpus than the mixture itself"));
            } else if (known == null) {
                found.add(new Violation("mix[" + i + "].corpus", part, oneOf(label.project)));
            } else if (!named.add(part)) {
                found.add(new Violation("mix[" + i + "].corpus", part, "each corpus once; give it the sum of the weights"));
            }
            parts.add(known);
        }
        long texts = parts.stream().filter(Objects::nonNull).mapToLong(part -> reference(part).leaves().count()).sum();
        if (texts > MOST_TEXTS) {
            found.add(new Violation("mix", texts + " texts in all", "at most " + MOST_TEXTS));
        }
        if (!found.isEmpty()) {
            throw new CorpusException(found);
        }
        Corpus corpus = of(label, Corpus.Source.MIX, null, new TextIntake.Taken(sum(parts, Corpus::bytes), sum(parts, Corpus::documents),
                fingerprint(parts, mix)));
        try {
            return registered(label, Boolean.TRUE.equals(transaction.execute(status -> {
                boolean inserted = rows.insert(corpus);
                for (int i = 0; inserted && i < parts.size(); i++) {
                    rows.insertPart(corpus, i, parts.get(i), mix.get(i).weight());
                }
                return inserted;
            })));
        } catch (DataIntegrityViolationException gone) {
            throw new CorpusException(List.of(new Violation("mix", "a corpus that was deleted just now", oneOf(label.project))));
        }
    }

    /** Registers a bundled text. */
    void bundle(String name, Path file, String description) throws IOException {
        rows.bundle(new Corpus(null, name, null, file.toString(), Kind.DEMO, Corpus.Source.PATH, description, null, Files.size(file), 1L,
                sum(file).sha256(), List.of(), List.of(), now()));
    }

    /**
     * Forgets a corpus, and deletes the file where it is a copy of ours.
     *
     * @param neededBy the job that needs it; asked while nobody can order on it
     * @throws CorpusException when it is bundled, or a job or a mixture has it
     */
    public void delete(Corpus corpus, Function<Corpus, Optional<String>> neededBy) {
        if (corpus.kind() == Kind.DEMO) {
            throw new CorpusException(Reason.IN_USE, corpus.name() + " is bundled with the service");
        }
        try {
            transaction.executeWithoutResult(_ -> {
                rows.lock(corpus);
                neededBy.apply(corpus).ifPresent(job -> {
                    throw new CorpusException(Reason.IN_USE, corpus.name() + " is needed by " + job + ", which has not ended");
                });
                rows.delete(corpus);
            });
        } catch (DataIntegrityViolationException part) {
            throw new CorpusException(Reason.IN_USE, corpus.name() + " is part of " + String.join(", ", rows.mixturesOf(corpus)));
        }
        if (corpus.isCopy()) {
            files.delete(Path.of(corpus.path()));
        }
    }

    /** Keeps what a project means by a name from being deleted until the caller's transaction ends. */
    void hold(String project, String name) {
        rows.hold(project, name);
    }

    /** What a name stands for. */
    public CorpusRef reference(Corpus corpus) {
        if (corpus.source() != Corpus.Source.MIX) {
            return new CorpusRef(null, corpus.path(), null, corpus.field());
        }
        List<Corpus> parts = rows.parts(corpus);
        List<CorpusRef.Part> mix = new ArrayList<>();
        for (int i = 0; i < parts.size(); i++) {
            mix.add(new CorpusRef.Part(reference(parts.get(i)), corpus.mix().get(i).weight()));
        }
        return CorpusRef.mixed(mix);
    }

    /** Remembers how many tokens it has. */
    public Corpus.Counted counted(Corpus corpus, String tokenizerSha256, long tokens) {
        Corpus.Counted counted = new Corpus.Counted(tokenizerSha256, tokens, now());
        rows.counted(corpus, counted);
        return counted;
    }

    /** What names there are, as a phrase. */
    String oneOf(String project) {
        return "one of the registered corpora " + list(project).stream().map(Corpus::name).distinct().collect(Collectors.joining(", "));
    }

    private Registered registered(Label label, boolean inserted) {
        if (!inserted) {
            throw exists(label);
        }
        return new Registered(find(label.name, label.project).orElseThrow(() -> exists(label)), true);
    }

    private Corpus of(Label label, Corpus.Source source, String path, TextIntake.Taken taken) {
        return new Corpus(UUID.randomUUID().toString(), label.name, label.project, path, Kind.REGISTERED, source, label.description,
                label.field, taken.bytes(), taken.documents(), taken.sha256(), List.of(), List.of(), now());
    }

    private static CorpusException exists(Label label) {
        return new CorpusException(Reason.EXISTS, "there is a corpus " + label.name + " already, and what a name stands for never changes");
    }

    private static TextIntake.Taken sum(Path file) throws IOException {
        MessageDigest sha256 = TextIntake.sha256();
        try (InputStream in = new DigestInputStream(Files.newInputStream(file), sha256)) {
            long bytes = in.transferTo(java.io.OutputStream.nullOutputStream());
            return new TextIntake.Taken(bytes, null, HexFormat.of().formatHex(sha256.digest()));
        }
    }

    private static Long sum(List<Corpus> parts, Function<Corpus, Long> figure) {
        return parts.stream().map(figure).anyMatch(Objects::isNull)
                ? null
                : Long.valueOf(parts.stream().map(figure).mapToLong(x -> x).sum());
    }

    /** SHA-256 over a line for each part in order: its digest and its weight as a plain decimal. */
    private static String fingerprint(List<Corpus> parts, List<Corpus.Part> mix) {
        StringBuilder text = new StringBuilder("espalier-mix/1\n");
        for (int i = 0; i < parts.size(); i++) {
            BigDecimal weight = mix.get(i).weight().stripTrailingZeros();
            text.append(parts.get(i).sha256()).append(' ').append(weight.toPlainString()).append('\n');
        }
        return HexFormat.of().formatHex(TextIntake.sha256().digest(text.toString().getBytes(StandardCharsets.UTF_8)));
    }

    private Instant now() {
        return clock.instant().truncatedTo(ChronoUnit.MICROS);
    }
}

package io.espalier.catalog;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.JsonFile;
import io.espalier.remote.RemoteException;
import io.espalier.remote.RemoteFile;
import io.espalier.remote.RemoteFiles;
import tools.jackson.databind.JsonNode;

/**
 * One model brought in from elsewhere, file by file. Which files it has is found out from the model itself: its configuration, the shards that its index
 * names, and whatever there is of the names that tokenizers, settings, licences and model cards have. What was fetched before is not fetched again.
 */
final class Fetch {

    private static final List<String> COMPANIONS = List.of("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
            "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json",
            "generation_config.json", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "README.md");
    private static final Pattern MODULE = Pattern.compile("[A-Za-z_][A-Za-z0-9_]{0,80}");
    private static final int MAX_FILES = 2000;

    private final RemoteFiles remote;
    private final Download download;
    private final Journal journal;
    private final Path files;
    private final Held held;
    private final ModelSettings settings;
    private final long room;

    /** @param room bytes that may be put on the disk */
    Fetch(RemoteFiles remote, ModelDirectories directories, Journal journal, Held held, ModelSettings settings, long room) {
        this.remote = remote;
        this.journal = journal;
        this.files = directories.files(held.id());
        this.held = held;
        this.settings = settings;
        this.room = room;
        this.download = new Download(remote, journal, files, directories.parts(held.id()), held, settings);
    }

    /**
     * @return the files, whole and where they belong
     * @throws FetchFailedException when something is missing, too large, or not what it should be
     * @throws RemoteException when the other side does not give it
     */
    List<ModelFile> run() throws IOException {
        List<RemoteFile> small = new ArrayList<>(List.of(needed(Checkpoint.CONFIG)));
        find(Checkpoint.INDEX).ifPresent(small::add);
        List<ModelFile> whole = new ArrayList<>();
        for (RemoteFile file : small) {
            whole.add(download.file(file, whole));
        }
        List<RemoteFile> rest = new ArrayList<>();
        for (String shard : small.size() > 1 ? shards() : List.of(Checkpoint.SINGLE)) {
            rest.add(needed(shard));
        }
        for (String name : companions()) {
            find(name).ifPresent(rest::add);
        }
        measure(whole, rest);
        for (RemoteFile file : rest) {
            whole.add(download.file(file, whole));
        }
        return whole;
    }

    /** Those that the index names: a stranger's words, which become a part of an address and a name on our disk. */
    private List<String> shards() {
        List<String> shards = Checkpoint.shardsOf(files.resolve(Checkpoint.INDEX));
        if (shards.size() > MAX_FILES) {
            throw new FetchFailedException("the index names more than " + MAX_FILES + " shards (expected: at most that many)");
        }
        shards.stream().filter(shard -> !ModelOrder.FILE.matcher(shard).matches()).findFirst().ifPresent(shard -> {
            throw new FetchFailedException(
                    "the index names a shard " + shard.replaceAll("[^ -~]", "?") + " (expected: 1 to 128 ASCII letters, "
                            + "digits and ._- that begin with a letter, a digit or _)");
        });
        return shards;
    }

    private Set<String> companions() {
        Set<String> names = new LinkedHashSet<>(COMPANIONS);
        JsonNode code = JsonFile.read(files.resolve(Checkpoint.CONFIG)).path("auto_map");
        code.forEach(entry -> {
            String module = entry.asString("").replaceAll("\\..*", "");
            if (MODULE.matcher(module).matches()) {
                names.add(module + ".py");
            }
        });
        return names;
    }

    /** What is too large is refused before it is fetched, where the server says how large it is. */
    private void measure(List<ModelFile> whole, List<RemoteFile> rest) {
        boolean known = rest.stream().allMatch(file -> file.bytes() >= 0);
        long bytes = whole.stream().mapToLong(ModelFile::bytes).sum()
                + rest.stream().mapToLong(file -> Math.max(0, file.bytes())).reduce(0, Math::addExact);
        if (known) {
            held.total(bytes);
        }
        if (bytes > settings.maxBytes().toBytes()) {
            throw new FetchFailedException("the model has " + bytes + " bytes (expected: at most " + settings.maxBytes().toBytes()
                    + ", espalier.models.max-bytes)");
        }
        long missing = bytes - download.there(rest) - whole.stream().mapToLong(ModelFile::bytes).sum();
        if (missing > room) {
            throw new FetchFailedException("the disk is full: " + missing + " bytes are to be fetched and there is room for " + room
                    + "; make room, then register the model again");
        }
    }

    private RemoteFile needed(String name) throws IOException {
        return find(name)
                .orElseThrow(() -> new FetchFailedException("there is no " + name + " (expected: a checkpoint in safetensors, with "
                        + Checkpoint.CONFIG + " and " + Checkpoint.SINGLE + " or " + Checkpoint.INDEX + " and every shard that it names)"));
    }

    private Optional<RemoteFile> find(String name) throws IOException {
        held.goOn();
        Optional<RemoteFile> found = download.persist(() -> remote.find(name));
        journal.revision(remote.revision());
        return found;
    }
}

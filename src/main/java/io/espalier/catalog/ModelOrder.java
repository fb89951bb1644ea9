package io.espalier.catalog;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.recipe.Violation;

/**
 * What a client wants registered: a directory, a source elsewhere, or files that it is going to send.
 *
 * @param name by which jobs will call it
 * @param project whose it is to be; {@code null}: the caller's, or {@code default}
 * @param description a sentence for a person; {@code null} for none
 * @param path a directory under a root; {@code null} for another way
 * @param source elsewhere; {@code null} for another way
 * @param upload the files to come; {@code null} for another way
 */
public record ModelOrder(String name, String project, String description, String path, ModelSource source, Upload upload) {

    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,127}");
    /** What a file may be called: nothing that leads elsewhere, on a disk or in an address. */
    static final Pattern FILE = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}");
    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
    private static final Pattern S3 = Pattern.compile("s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9!_.*'() -]+)*/?");
    private static final Pattern REVISION = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*");
    private static final int MAX_DESCRIPTION = 500;

    /** @param files all that will be sent; {@code null} where one was written so badly that it was taken out */
    public record Upload(List<Announced> files) {
        public Upload {
            files = files == null ? List.of() : Collections.unmodifiableList(new ArrayList<>(files));
        }

        List<ModelFile> wanted() {
            return files.stream().map(file -> new ModelFile(file.name(), file.bytes(), file.sha256())).toList();
        }
    }

    /**
     * A file to come.
     *
     * @param bytes its length
     * @param sha256 hexadecimal, lower case
     */
    public record Announced(String name, Long bytes, String sha256) {}

    /** Everything that is wrong with it by itself. */
    List<Violation> violations() {
        List<Violation> found = new ArrayList<>();
        if (name == null || !NAME.matcher(name).matches()) {
            found.add(new Violation("name", name, "1 to 128 ASCII letters, digits and ._- that begin with a letter or digit"));
        }
        if (description != null && description.length() > MAX_DESCRIPTION) {
            found.add(new Violation("description", description.length() + " characters", "at most " + MAX_DESCRIPTION));
        }
        long ways = List.of(path != null, source != null, upload != null).stream().filter(way -> way).count();
        if (ways != 1) {
            found.add(new Violation("", ways == 0 ? "none of path, source and upload" : ways + " of path, source and upload",
                    "exactly one of them"));
        }
        if (source != null) {
            source(found);
        }
        if (upload != null) {
            files(found);
        }
        return found;
    }

    private void source(List<Violation> found) {
        if ((source.s3() == null) == (source.https() == null)) {
            found.add(new Violation("source", source.s3() == null ? "neither s3 nor https" : "both s3 and https", "exactly one of them"));
        }
        if (source.s3() != null && (!S3.matcher(source.s3()).matches() || dotted(source.s3()))) {
            found.add(new Violation("source.s3", source.s3(), "s3://bucket/prefix"));
        }
        if (source.revision() != null
                && (source.https() == null || !REVISION.matcher(source.revision()).matches() || source.revision().length() > 128)) {
            found.add(new Violation("source.revision", source.revision(), source.https() == null
                    ? "absent, because only https has revisions"
                    : "a branch, tag or commit: at most 128 ASCII letters, digits and ._-/"));
        }
        if (source.tokenRef() != null && source.https() == null) {
            found.add(new Violation("source.token_ref", source.tokenRef(), "absent, because only https takes a token"));
        }
    }

    private static boolean dotted(String address) {
        return List.of(address.split("/")).stream().anyMatch(part -> part.equals(".") || part.equals(".."));
    }

    private void files(List<Violation> found) {
        Set<String> names = new HashSet<>();
        for (int i = 0; i < upload.files().size(); i++) {
            Announced file = upload.files().get(i);
            if (file == null) {
                continue;
            }
            String at = "upload.files[" + i + "].";
            if (file.name() == null || !FILE.matcher(file.name()).matches()) {
                found.add(new Violation(at + "name", file.name(),
                        "a plain file name: 1 to 128 ASCII letters, digits and ._- that begin with a letter, a digit or _"));
            } else if (!names.add(file.name())) {
                found.add(new Violation(at + "name", file.name(), "each file once"));
            }
            if (file.bytes() == null || file.bytes() < 0) {
                found.add(new Violation(at + "bytes", file.bytes() == null ? null : String.valueOf(file.bytes()), "0 or more"));
            }
            if (file.sha256() == null || !SHA256.matcher(file.sha256()).matches()) {
                found.add(new Violation(at + "sha256", file.sha256(), "64 hexadecimal digits in lower case"));
            }
        }
        boolean whole = names.contains(Checkpoint.CONFIG) && (names.contains(Checkpoint.SINGLE) || names.contains(Checkpoint.INDEX));
        if (!whole) {
            found.add(new Violation("upload.files", names.size() + " files",
                    Checkpoint.CONFIG + " and " + Checkpoint.SINGLE + " or " + Checkpoint.INDEX + " among them"));
        }
    }
}

package io.espalier.worker;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import io.espalier.artifact.Artifacts;
import io.espalier.job.Lease;
import io.espalier.job.Leases;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.util.FileSystemUtils;

/**
 * Where workers of this machine work: a directory for each attempt, which ends with it, and beside them what slices save on the way, which outlives their
 * worker. Whoever comes next sweeps what is of no use any more.
 */
final class Workplace {

    private static final Logger log = LoggerFactory.getLogger(Workplace.class);
    /** Job and attempt. */
    private static final Pattern ATTEMPT = Pattern.compile("(job_[0-9a-z]+)-(\\d{1,9})");
    /** Job and piece; and the attempt that was at it when it was half written. */
    private static final Pattern SAVED = Pattern.compile("(job_[0-9a-z]+)-(\\d{1,9})(?:\\.(\\d{1,9})\\.part)?");

    private final Path root;
    private final Path saved;
    private final Leases leases;
    private final Artifacts artifacts;

    /** @param root on the artifacts' file system */
    Workplace(Path root, Leases leases, Artifacts artifacts) {
        this.root = root;
        this.saved = root.resolve("savepoints");
        this.leases = leases;
        this.artifacts = artifacts;
    }

    /** The attempt's own. */
    Path directory(Lease lease) {
        return root.resolve(lease.jobId() + "-" + lease.attempt());
    }

    /** The file in which a slice saves how far it is, whoever measures it. */
    Path saved(Lease lease) {
        return saved.resolve(lease.jobId() + "-" + lease.piece());
    }

    void deleteSaved(Lease lease) {
        delete(saved(lease));
    }

    /** Deletes what attempts left behind that are over: work directories, what is saved of finished slices, artifacts moved but not recorded. */
    void sweep() {
        try {
            Files.createDirectories(root);
            sweep(root, ATTEMPT, left -> !leases.holds(left.group(1), number(left, 2)));
            if (Files.isDirectory(saved)) {
                sweep(saved, SAVED, left -> left.group(3) == null
                        ? !leases.mayResume(left.group(1), number(left, 2))
                        : !leases.holds(left.group(1), number(left, 3)));
            }
            artifacts.sweep(leases::gaveUp);
        } catch (IOException e) {
            log.warn("leftovers of earlier attempts were not deleted; the next job tries again: {}", e.toString());
        }
    }

    private static void sweep(Path directory, Pattern names, Predicate<MatchResult> isOver) throws IOException {
        List<Path> entries;
        try (Stream<Path> listed = Files.list(directory)) {
            entries = listed.toList();
        }
        for (Path entry : entries) {
            Matcher left = names.matcher(entry.getFileName().toString());
            if (left.matches() && isOver.test(left)) {
                FileSystemUtils.deleteRecursively(entry);
            }
        }
    }

    private static int number(MatchResult left, int group) {
        return Integer.parseInt(left.group(group));
    }

    /** A file or a directory with all that is in it; that it cannot be deleted is no reason to fail. */
    static void delete(Path path) {
        try {
            FileSystemUtils.deleteRecursively(path);
        } catch (IOException e) {
            log.warn("{} was not deleted; the next job tries again: {}", path, e.toString());
        }
    }
}

package io.espalier.chaos;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import io.espalier.EspalierApplication;

/** One process of the service, on this process's own JVM and class path. Its words go to a file. */
final class ServiceProcess implements AutoCloseable {

    private static final String STARTED = "Started EspalierApplication";

    private final String name;
    private final Path log;
    private final Process process;
    private final Instant born = Instant.now();

    /** @param settings as on the command line, {@code --key=value} */
    ServiceProcess(String name, Path log, List<String> settings) throws IOException {
        this.name = name;
        this.log = log;
        List<String> command = new ArrayList<>(List.of(ProcessHandle.current().info().command().orElse("java"),
                "--enable-native-access=ALL-UNNAMED", "-Xmx384m", "-XX:+UseSerialGC",
                // why: a process that lives for a minute is not worth the second compiler's time; the arithmetic is native
                "-XX:TieredStopAtLevel=1", "-Dai.djl.offline=true", "-DOPT_OUT_TRACKING=true", "-cp",
                System.getProperty("java.class.path"), EspalierApplication.class.getName(), "--spring.main.banner-mode=off"));
        command.addAll(settings);
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        builder.environment().put("MALLOC_ARENA_MAX", "2");
        this.process = builder.start();
    }

    String name() {
        return name;
    }

    long pid() {
        return process.pid();
    }

    boolean isAlive() {
        return process.isAlive();
    }

    Instant born() {
        return born;
    }

    boolean hasStarted() {
        return words().stream().anyMatch(line -> line.contains(STARTED));
    }

    /** @throws IllegalStateException when it ends or does not start; with its last words */
    void awaitStarted(Duration atMost) throws InterruptedException {
        Instant end = Instant.now().plus(atMost);
        while (!hasStarted()) {
            if (!process.isAlive() || Instant.now().isAfter(end)) {
                List<String> words = words();
                throw new IllegalStateException(name + (process.isAlive()
                        ? " did not start within " + atMost
                        : " ended with status "
                                + process.exitValue())
                        + "; its last words:\n" + String.join("\n", words.subList(Math.max(0, words.size() - 30), words
                                .size())));
            }
            Thread.sleep(100);
        }
    }

    /** SIGKILL: nothing is cleaned up, nothing is said. */
    void kill() throws InterruptedException {
        process.destroyForcibly();
        process.waitFor();
    }

    /** SIGTERM: it may finish and hand back. */
    void terminate() {
        process.destroy();
    }

    boolean awaitEnd(Duration atMost) throws InterruptedException {
        return process.waitFor(atMost.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** SIGSTOP: as a machine whose virtual processor is taken away. */
    void freeze() throws IOException, InterruptedException {
        signal("STOP");
    }

    /** SIGCONT. */
    void thaw() throws IOException, InterruptedException {
        signal("CONT");
    }

    private void signal(String signal) throws IOException, InterruptedException {
        // why a shell: kill is built into it, a program of that name is not on every machine
        int status = new ProcessBuilder("sh", "-c", "kill -" + signal + " " + pid()).inheritIO().start().waitFor();
        if (status != 0 && process.isAlive()) {
            throw new IllegalStateException("kill -" + signal + " " + pid() + " ended with status " + status + " (expected: 0)");
        }
    }

    /** What it said so far. */
    List<String> words() {
        try (Stream<String> lines = Files.lines(log)) {
            return lines.toList();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}

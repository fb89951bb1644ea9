package io.espalier.api;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

import com.sun.management.HotSpotDiagnosticMXBean;
import io.espalier.job.JobRecords;
import io.espalier.job.JobState;
import io.espalier.job.PruningJob;
import io.espalier.job.PruningJobs;
import io.espalier.telemetry.LogLines;
import io.espalier.telemetry.Redaction;
import org.flywaydb.core.Flyway;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.health.actuate.endpoint.HealthEndpoint;
import org.springframework.boot.info.BuildProperties;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;

/**
 * What somebody needs who is to find out what is wrong with a service that he cannot reach, as a zip: of this process, and of the queue that it shares. Of a setting
 * the value is shown only where its name is on a list; every text goes through {@link Redaction}. Orders, texts and environment variables are not in it.
 */
@Component
final class SupportBundle {

    /** Settings whose values may be shown. Whatever is not here is masked, also what will be added one day. */
    private static final Pattern SHOWN = Pattern.compile("espalier\\.(data-dir|roots|database\\.(mode|directory|port|startup-wait|migrate"
            + "|check|clock-sync|connections\\.[a-z-]+)|api\\.(enabled|max-body|score-cache)|worker\\.[a-z-]+|jobs\\.[a-z-]+|jobs\\.record\\.[a-z-]+"
            + "|metrics\\.[a-z-]+)|server\\.(address|port)|management\\.(server\\.port|tracing\\.export\\.enabled|tracing\\.sampling\\.probability)"
            + "|logging\\.structured\\.format\\.console|spring\\.(application\\.(name|version)|lifecycle\\.timeout-per-shutdown-phase)");
    private static final Pattern OURS = Pattern.compile("(espalier|server|management|spring|logging)\\..*");
    private static final int FAILURES = 20;

    private final ConfigurableEnvironment environment;
    private final Redaction redaction;
    private final LogLines log;
    private final HealthEndpoint health;
    private final Flyway flyway;
    private final ObjectProvider<BuildProperties> build;
    private final PruningJobs jobs;
    private final JobRecords records;
    private final JsonMapper json;

    SupportBundle(ConfigurableEnvironment environment, Redaction redaction, LogLines log, HealthEndpoint health, Flyway flyway,
            ObjectProvider<BuildProperties> build, PruningJobs jobs, JobRecords records, JsonMapper json) {
        this.environment = environment;
        this.redaction = redaction;
        this.log = log;
        this.health = health;
        this.flyway = flyway;
        this.build = build;
        this.jobs = jobs;
        this.records = records;
        this.json = json.rebuild().enable(tools.jackson.databind.SerializationFeature.INDENT_OUTPUT).build();
    }

    /** One file of it. What cannot be had says why in its place: the bundle is asked for when something is broken. */
    @FunctionalInterface
    private interface Part {
        String text() throws Exception;
    }

    void write(OutputStream out) throws IOException {
        Map<String, Part> parts = new LinkedHashMap<>();
        parts.put("versions.json", () -> json.writeValueAsString(versions()));
        parts.put("settings.json", () -> json.writeValueAsString(settings()));
        parts.put("health.json", () -> json.writeValueAsString(health.health()));
        parts.put("migrations.txt", this::migrations);
        parts.put("queue.json", () -> json.writeValueAsString(records.queue()));
        parts.put("failures.json", () -> json.writeValueAsString(failures()));
        parts.put("threads.txt", SupportBundle::threads);
        parts.put("log.txt", () -> String.join("\n", log.recent()));
        ZipOutputStream zip = new ZipOutputStream(out, StandardCharsets.UTF_8);
        for (Map.Entry<String, Part> part : parts.entrySet()) {
            zip.putNextEntry(new ZipEntry(part.getKey()));
            zip.write(redaction.masked(text(part.getValue())).getBytes(StandardCharsets.UTF_8));
            zip.closeEntry();
        }
        zip.finish();
    }

    private static String text(Part part) {
        try {
            return part.text();
        } catch (Exception e) {
            return "not to be had: " + e;
        }
    }

    private Map<String, Object> versions() {
        Map<String, Object> versions = new LinkedHashMap<>();
        BuildProperties built = build.getIfAvailable();
        versions.put("espalier", built == null ? environment.getProperty("spring.application.version") : built.getVersion());
        versions.put("java", Runtime.version().toString());
        versions.put("system",
                System.getProperty("os.name") + " " + System.getProperty("os.version") + " " + System.getProperty("os.arch"));
        versions.put("processors", Runtime.getRuntime().availableProcessors());
        versions.put("heap_limit_bytes", Runtime.getRuntime().maxMemory());
        versions.put("up_milliseconds", ManagementFactory.getRuntimeMXBean().getUptime());
        return versions;
    }

    /** Names from everywhere but the environment variables and the system properties, which are everybody's. */
    private Map<String, String> settings() {
        Map<String, String> settings = new TreeMap<>();
        environment.getPropertySources().stream().filter(EnumerablePropertySource.class::isInstance)
                .flatMap(source -> List.of(((EnumerablePropertySource<?>) source).getPropertyNames()).stream())
                .filter(name -> OURS.matcher(name).matches()).forEach(name -> settings.put(name, shown(name)));
        return settings;
    }

    private String shown(String name) {
        if (!SHOWN.matcher(name).matches() || Redaction.names(name)) {
            return Redaction.MASK;
        }
        try {
            return environment.getProperty(name);
        } catch (IllegalArgumentException e) {
            return "not to be resolved";
        }
    }

    private String migrations() {
        StringBuilder lines = new StringBuilder();
        for (var migration : flyway.info().all()) {
            lines.append(migration.getVersion()).append(' ').append(migration.getDescription()).append(": ")
                    .append(migration.getState().getDisplayName()).append(", ").append(migration.getInstalledOn()).append('\n');
        }
        return lines.toString();
    }

    private List<Map<String, Object>> failures() {
        return jobs.list(JobState.FAILED, null, FAILURES).stream().map(SupportBundle::failure).toList();
    }

    private static Map<String, Object> failure(PruningJob job) {
        Map<String, Object> failure = new LinkedHashMap<>();
        failure.put("id", job.id());
        failure.put("finished_at", job.finishedAt());
        failure.put("phase", job.progress().phase());
        failure.put("code", job.error().code());
        failure.put("message", job.error().message());
        return failure;
    }

    private static String threads() throws IOException {
        Path directory = Files.createTempDirectory("espalier");
        Path file = directory.resolve("threads.txt");
        try {
            ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class).dumpThreads(file.toString(),
                    HotSpotDiagnosticMXBean.ThreadDumpFormat.TEXT_PLAIN);
            return Files.readString(file);
        } finally {
            Files.deleteIfExists(file);
            Files.delete(directory);
        }
    }
}

package io.espalier.chaos;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import org.springframework.jdbc.core.JdbcTemplate;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** One API process and some workers on one PostgreSQL and one data directory: what would be several machines. */
final class Fleet implements AutoCloseable {

    static final Duration START = Duration.ofSeconds(180);
    private static final String DATABASE = "espalier";
    private static final Duration ANSWER = Duration.ofSeconds(60);

    private final Path directory;
    private final Path data;
    private final PostgresServer postgres;
    private final List<String> settings;
    private final int apiPort;
    private final HttpClient http = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
    private final List<ServiceProcess> everyone = new ArrayList<>();
    private final ServiceProcess[] workers;
    private ServiceProcess api;

    /**
     * Starts everything and waits until it is up.
     *
     * @param directory empty or new; logs, database and data are left there for whoever wants to look
     * @param workers how many
     * @param settings of all processes, {@code --key=value}
     */
    Fleet(Path directory, int workers, String... settings) throws Exception {
        this(directory, Files.createDirectories(directory.resolve("service")), new PostgresServer(directory.resolve("postgres")), workers,
                settings);
    }

    /** @param data directory that the service works in */
    Fleet(Path directory, Path data, PostgresServer postgres, int workers, String... settings) throws Exception {
        this.directory = Files.createDirectories(directory).toAbsolutePath();
        this.data = data.toAbsolutePath();
        this.postgres = postgres;
        this.settings = List.of(settings);
        this.apiPort = PostgresServer.freePort();
        this.workers = new ServiceProcess[workers];
        // why: a harness that is interrupted must not leave servers behind
        Runtime.getRuntime().addShutdownHook(new Thread(() -> List.copyOf(everyone).forEach(ServiceProcess::close)));
        try {
            postgres.create(DATABASE);
            startApi();
            for (int i = 0; i < workers; i++) {
                startWorker(i);
            }
            awaitStarted();
            forgetAddresses();
        } catch (Exception | Error e) {
            close();
            throw e;
        }
    }

    /** The same order comes again and again here, and each has to be measured: what no address leads to, nobody finds. */
    private void forgetAddresses() {
        sql().execute("""
                create function forget_address() returns trigger language plpgsql as $$
                begin
                  new.address := null;
                  new.origin := null;
                  return new;
                end $$""");
        sql().execute(
                "create trigger score_set_forgets_its_address before insert on score_set for each row execute function forget_address()");
    }

    ServiceProcess startApi() throws IOException {
        api = start("api", "--server.port=" + apiPort, "--espalier.worker.enabled=false");
        return api;
    }

    ServiceProcess startWorker(int index) throws IOException {
        workers[index] = start("worker-" + index, "--server.port=0", "--espalier.api.enabled=false", "--espalier.worker.enabled=true");
        return workers[index];
    }

    private ServiceProcess start(String name, String... own) throws IOException {
        List<String> all = new ArrayList<>(List.of("--espalier.data-dir=" + data, "--espalier.database.mode=external",
                // why the name: the database can say whose transaction it is that waits
                "--spring.datasource.url=" + postgres.url(DATABASE) + "?ApplicationName=" + name, "--spring.datasource.username=postgres",
                "--spring.datasource.password=postgres"));
        all.addAll(Arrays.asList(own));
        all.addAll(settings);
        ServiceProcess process = new ServiceProcess(name, directory.resolve("%03d-%s.log".formatted(everyone.size(), name)), all);
        everyone.add(process);
        return process;
    }

    /** Starts again what has ended, and waits until all are up. */
    void awaitStarted() throws Exception {
        if (!api.isAlive()) {
            startApi();
        }
        for (int i = 0; i < workers.length; i++) {
            if (!workers[i].isAlive()) {
                startWorker(i);
            }
        }
        api.awaitStarted(START);
        for (ServiceProcess worker : workers) {
            worker.awaitStarted(START);
        }
    }

    ServiceProcess api() {
        return api;
    }

    List<ServiceProcess> workers() {
        return List.of(workers);
    }

    /** The living worker with this process id, as a piece's {@code worker} ends with it; {@code null} when there is none. */
    ServiceProcess worker(String called) {
        return Arrays.stream(workers).filter(worker -> called.endsWith("/" + worker.pid()) && worker.isAlive()).findFirst().orElse(null);
    }

    /** The living worker that waits for a table's lock; {@code null} when none does. */
    ServiceProcess waiter(String table) {
        return sql().queryForList("select a.application_name from pg_locks l join pg_stat_activity a on a.pid = l.pid"
                + " where l.relation = ?::regclass and not l.granted", String.class, table).stream()
                .flatMap(name -> Arrays.stream(workers).filter(worker -> worker.name().equals(name) && worker.isAlive()))
                .findFirst().orElse(null);
    }

    int indexOf(ServiceProcess worker) {
        return Arrays.asList(workers).indexOf(worker);
    }

    PostgresServer postgres() {
        return postgres;
    }

    Path data() {
        return data;
    }

    JdbcTemplate sql() {
        return postgres.sql(DATABASE);
    }

    /** Holds locks for as long as the harness wants. */
    Holder holder() {
        return new Holder(postgres.source(DATABASE));
    }

    /** Posts an order; where the API is down, again until it is up. */
    String order(String json) throws Exception {
        while (true) {
            try {
                HttpResponse<String> answer = send(HttpRequest.newBuilder(uri("")).POST(HttpRequest.BodyPublishers.ofString(json)));
                if (answer.statusCode() == 202) {
                    return JsonMapper.shared().readTree(answer.body()).get("id").stringValue();
                }
                if (answer.statusCode() != 503) {
                    throw new IllegalStateException("the order was answered " + answer.statusCode() + " " + answer.body());
                }
            } catch (IOException e) {
                if (!api.isAlive()) {
                    startApi();
                }
            }
            Thread.sleep(200);
        }
    }

    /** A job as the API shows it; where the API is down, as soon as it is up. */
    JsonNode job(String id) throws Exception {
        while (true) {
            try {
                HttpResponse<String> answer = get("/" + id);
                if (answer.statusCode() == 200) {
                    return JsonMapper.shared().readTree(answer.body());
                }
                if (answer.statusCode() != 503) {
                    throw new IllegalStateException(id + " was answered " + answer.statusCode() + " " + answer.body());
                }
            } catch (IOException e) {
                if (!api.isAlive()) {
                    startApi();
                }
            }
            Thread.sleep(200);
        }
    }

    HttpResponse<String> get(String path) throws IOException, InterruptedException {
        return send(HttpRequest.newBuilder(uri(path)).GET());
    }

    HttpResponse<String> post(String path, String body) throws IOException, InterruptedException {
        return send(HttpRequest.newBuilder(uri(path)).POST(HttpRequest.BodyPublishers.ofString(body)));
    }

    private URI uri(String path) {
        return URI.create("http://127.0.0.1:" + apiPort + "/v1/pruning-jobs" + path);
    }

    private HttpResponse<String> send(HttpRequest.Builder request) throws IOException, InterruptedException {
        return http.send(request.header("Content-Type", "application/json").timeout(ANSWER).build(), HttpResponse.BodyHandlers.ofString());
    }

    /** Waits until a job has ended, over HTTP. */
    JsonNode awaitEnd(String id, Duration atMost) throws Exception {
        Instant end = Instant.now().plus(atMost);
        JsonNode job = job(id);
        while (!job.get("terminal").booleanValue()) {
            if (Instant.now().isAfter(end)) {
                throw new IllegalStateException(id + " has not ended within " + atMost + ": " + job + "\n" + sql().queryForList(
                        "select number, state, attempt, worker, lost_workers, failures from job_piece where job_id = ?", id) + "\n"
                        + sql().queryForList("select * from scheduled_tasks"));
            }
            Thread.sleep(200);
            job = job(id);
        }
        return job;
    }

    /** A job's history: {@code seq}, {@code at}, {@code type}, {@code message}, and the fields of {@code data}. */
    List<Event> events(String id) {
        return sql().query("select seq, at, type, message, data from job_event where job_id = ? order by seq",
                (row, n) -> new Event(row.getLong(1), row.getTimestamp(2).toInstant(), row.getString(3), row.getString(4),
                        JsonMapper.shared().readTree(row.getString(5))),
                id);
    }

    /** One line of it. */
    record Event(long seq, Instant at, String type, String message, JsonNode data) {

        boolean is(String asked) {
            return type.equals(asked);
        }

        /** Number of the piece that was started or is spoken of: 0 opens; {@code -1} when none is. */
        boolean starts(Piece piece) {
            return is("piece_started") && piece.kind().equals(data.path("piece").stringValue(""))
                    && (!piece.kind().equals("slice") || data.path("slice").intValue(-1) == piece.number());
        }

        boolean finishes(Piece piece) {
            return switch (piece.kind()) {
                case "open" -> is("sliced");
                case "slice" -> is("slice_finished") && data.path("slice").intValue(-1) == piece.number();
                default -> is("succeeded");
            };
        }
    }

    /** A piece that somebody is at work on. */
    record Piece(String jobId, int number, String kind, int attempt, String worker) {}

    /** The pieces that are running now. */
    List<Piece> running() {
        return sql().query("select job_id, number, kind, attempt, worker from job_piece where state = 'running'",
                (row, n) -> new Piece(row.getString(1), row.getInt(2), row.getString(3), row.getInt(4), row.getString(5)));
    }

    /** Warnings and errors in the logs since the instant, one line for each that differs, without stack traces. */
    List<String> complaints(Instant since) {
        return everyone.stream().flatMap(process -> process.words().stream()
                .filter(line -> line.matches("\\d{4}-.* (WARN|ERROR) .*") && !line.contains("CudaUtils"))
                .filter(line -> !instant(line).isBefore(since))
                .map(line -> process.name().replaceAll("-\\d+", "") + ": " + line.replaceFirst("^\\S+\\s+", "")
                        .replaceAll("@[0-9a-f]+|\\d+ --- |\\[[^\\]]*\\]|job_\\w+|\\bc?\\.?io\\.espalier\\.", "").replaceAll("\\s+", " ")))
                .distinct().toList();
    }

    /** When a worker found out that the one that held a piece was dead; {@code null} when none did. */
    Instant detected(Piece piece, Instant after) {
        String entry = piece.jobId() + "/" + piece.number() + "/";
        return everyone.stream().flatMap(process -> process.words().stream())
                .filter(line -> line.contains(entry) && (line.contains("Reviving dead") || line.contains("is handed out again")))
                .map(Fleet::instant).filter(at -> at.isAfter(after)).min(java.util.Comparator.naturalOrder()).orElse(null);
    }

    private static Instant instant(String line) {
        return java.time.OffsetDateTime.parse(line.substring(0, line.indexOf(' '))).toInstant();
    }

    @Override
    public void close() throws IOException {
        everyone.forEach(ServiceProcess::close);
        postgres.close();
    }
}

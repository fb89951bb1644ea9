package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import io.espalier.job.Lease;
import io.espalier.job.PruningJobs;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@ApiTest
class JobStreamTest {

    private static final String JOBS = "/v1/pruning-jobs";

    /** One event as it came over the wire. */
    record Event(String id, String name, JsonNode data) {}

    private final Api api;
    private final Runs runs;
    private final PruningJobs jobs;
    private final List<AutoCloseable> open = new ArrayList<>();

    JobStreamTest(@LocalServerPort int port, PruningJobs jobs, Runs runs) {
        api = new Api(port);
        this.runs = runs;
        this.jobs = jobs;
    }

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable one : open) {
            one.close();
        }
    }

    @Test
    void a_stream_tells_the_history_then_what_happens_then_ends() throws Exception {
        String id = api.ordered(Posted.SHORTEST);
        BlockingQueue<Event> events = follow(id);
        assertThat(next(events)).extracting(Event::id, Event::name).containsExactly("1", "queued");
        Event first = next(events);
        assertThat(first.name()).isEqualTo("progress");
        assertThat(first.data().path("state").stringValue()).isEqualTo("queued");
        runs.succeed(id);
        List<Event> rest = new ArrayList<>();
        do {
            rest.add(next(events));
        } while (!rest.getLast().name().equals("end"));

        assertThat(rest.stream().map(Event::id).filter(seq -> seq != null)).startsWith("2", "3")
                .containsExactlyElementsOf(
                        IntStream.rangeClosed(2, (int) jobs.find(id).orElseThrow().lastEvent()).mapToObj(String::valueOf).toList());
        assertThat(rest.getLast().data().path("terminal").booleanValue()).isTrue();
        for (Event event : rest) {
            assertThat(Contract.IT.departures("/components/schemas/" + (event.id() == null ? "JobProgress" : "JobEvent"), event.data()))
                    .isEmpty();
        }
    }

    @Test
    void who_comes_back_goes_on_where_he_was_and_at_the_end_is_told_to_stay_away() throws Exception {
        String id = api.ordered(Posted.SHORTEST);
        runs.succeed(id);
        long last = jobs.find(id).orElseThrow().lastEvent();
        BlockingQueue<Event> events = follow(id, "Last-Event-ID", "3");
        assertThat(next(events).id()).isEqualTo("4");

        Api.Answer over = api.get(JOBS + "/" + id + "/events", "Accept", "text/event-stream", "Last-Event-ID", String.valueOf(last));
        assertThat(over.status()).isEqualTo(204);
        assertThat(api.get(JOBS + "/" + id + "/events", "Accept", "text/event-stream", "Last-Event-ID", "x").code())
                .isEqualTo("invalid_request");
        assertThat(api.get(JOBS + "/job_none/events", "Accept", "text/event-stream").code()).isEqualTo("job_not_found");
        assertThat(api.head(JOBS + "/" + id + "/events", "Accept", "text/event-stream").status()).isEqualTo(200);
        assertThat(api.get(JOBS + "/" + id + "/events").header("Content-Type")).as("JSON where nobody asks for a stream")
                .isEqualTo("application/json");
    }

    @Test
    void a_history_longer_than_what_is_at_hand_comes_whole() throws Exception {
        String id = api.ordered(Posted.SHORTEST);
        Lease lease = runs.start(id);
        BlockingQueue<Event> events = follow(id);
        for (int i = 0; i < 450; i++) {
            runs.reports().note(lease, "noted", "note " + i, Map.of());
        }
        BlockingQueue<Event> late = follow(id);
        jobs.cancel(id);
        runs.reports().stopped(lease);
        List<String> all = IntStream.rangeClosed(1, (int) jobs.find(id).orElseThrow().lastEvent()).mapToObj(String::valueOf).toList();
        assertThat(ids(events)).containsExactlyElementsOf(all);
        assertThat(ids(late)).containsExactlyElementsOf(all);
    }

    @Test
    void a_thousand_streams_hear_the_same_and_the_service_answers_all_the_while() throws Exception {
        String id = api.ordered(Posted.SHORTEST);
        List<BlockingQueue<Event>> streams = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
            streams.add(follow(id));
        }
        for (BlockingQueue<Event> stream : streams) {
            assertThat(next(stream).name()).isEqualTo("queued");
        }
        assertThat(api.get(JOBS + "/" + id).status()).isEqualTo(200);
        assertThat(api.order(Posted.SHORTEST).status()).isEqualTo(202);
        jobs.cancel(id);
        for (BlockingQueue<Event> stream : streams) {
            assertThat(ids(stream)).containsExactly("2");
        }
    }

    @Test
    void a_request_can_wait_for_the_job_to_change() throws Exception {
        String id = api.ordered(Posted.SHORTEST);
        CountDownLatch asked = new CountDownLatch(2);
        try (ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
            Future<Api.Answer> state = pool.submit(() -> waiting(asked, JOBS + "/" + id + "?wait=60s"));
            Future<Api.Answer> event = pool.submit(() -> waiting(asked, JOBS + "/" + id + "/events?after=1&wait=60"));
            asked.await();
            Thread.sleep(500);
            assertThat(state.isDone() || event.isDone()).isFalse();
            jobs.cancel(id);
            assertThat(state.get().json().path("state").stringValue()).isEqualTo("cancelled");
            assertThat(event.get().json().at("/items/0/type").stringValue()).isEqualTo("cancelled");
        }
    }

    @Test
    void nobody_waits_for_what_is_there_already_or_longer_than_he_said() {
        String id = api.ordered(Posted.SHORTEST);
        assertThat(api.get(JOBS + "/" + id + "?wait=60s&while=running").json().path("state").stringValue()).isEqualTo("queued");
        assertThat(api.get(JOBS + "/" + id + "/events?wait=60s").json().path("items")).hasSize(1);
        assertThat(api.get(JOBS + "/" + id + "?wait=1s").json().path("state").stringValue()).isEqualTo("queued");
        jobs.cancel(id);
        assertThat(api.get(JOBS + "/" + id + "?wait=60s").json().path("state").stringValue()).isEqualTo("cancelled");
        assertThat(api.get(JOBS + "/" + id + "/events?after=2&wait=60s").json().path("items")).isEmpty();
    }

    @Test
    void a_wait_without_measure_is_refused() {
        String id = api.ordered(Posted.SHORTEST);
        for (String wait : List.of("61", "-1", "1m", "", "9999999999s", "1.5")) {
            assertThat(api.get(JOBS + "/" + id + "?wait=" + wait).violations()).as(wait).containsKey("wait");
            assertThat(api.get(JOBS + "/" + id + "/events?wait=" + wait).violations()).as(wait).containsKey("wait");
        }
        assertThat(api.get(JOBS + "/" + id + "?wait=1s&while=lunch").violations()).containsKey("while");
    }

    private Api.Answer waiting(CountDownLatch asked, String path) {
        asked.countDown();
        return api.get(path);
    }

    private BlockingQueue<Event> follow(String id, String... headers) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + api.port() + JOBS + "/" + id + "/events"))
                .header("Accept", "text/event-stream");
        if (headers.length > 0) {
            request.headers(headers);
        }
        HttpResponse<Stream<String>> response = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofLines());
        assertThat(response.statusCode()).isEqualTo(200);
        assertThat(response.headers().firstValue("Content-Type").orElse("")).startsWith("text/event-stream");
        open.add(response.body()::close);
        BlockingQueue<Event> events = new LinkedBlockingQueue<>();
        Thread.ofVirtual().start(() -> read(response.body(), events));
        return events;
    }

    private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
            .executor(Executors.newVirtualThreadPerTaskExecutor()).build();

    private static void read(Stream<String> lines, BlockingQueue<Event> events) {
        String[] event = new String[3];
        lines.forEach(line -> {
            if (line.startsWith("id: ")) {
                event[0] = line.substring(4);
            } else if (line.startsWith("event: ")) {
                event[1] = line.substring(7);
            } else if (line.startsWith("data: ")) {
                event[2] = line.substring(6);
            } else if (line.isEmpty() && event[2] != null) {
                events.add(new Event(event[0], event[1], JsonMapper.shared().readTree(event[2])));
                event[0] = null;
                event[1] = null;
                event[2] = null;
            }
        });
    }

    private static Event next(BlockingQueue<Event> events) throws InterruptedException {
        Event event = events.poll(60, TimeUnit.SECONDS);
        assertThat(event).as("an event within a minute").isNotNull();
        return event;
    }

    /** Of all events until the end. */
    private static List<String> ids(BlockingQueue<Event> events) throws InterruptedException {
        List<String> ids = new ArrayList<>();
        for (Event event = next(events); !event.name().equals("end"); event = next(events)) {
            if (event.id() != null) {
                ids.add(event.id());
            }
        }
        return ids;
    }
}

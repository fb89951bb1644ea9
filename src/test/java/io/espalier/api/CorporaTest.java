package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

import io.espalier.catalog.Corpora;
import io.espalier.catalog.Kind;
import io.espalier.job.PruningJobs;
import io.espalier.recipe.CorpusRef;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.test.web.server.LocalServerPort;
import tools.jackson.databind.JsonNode;

/** Corpora over HTTP. */
@ApiTest
class CorporaTest {

    private static final Path ROOT = Path.of("target", "api-test", "root").toAbsolutePath();

    private final Api api;
    private final Corpora corpora;
    private final PruningJobs jobs;
    private final Path kept;

    CorporaTest(@LocalServerPort int port, Corpora corpora, PruningJobs jobs, @Value("${espalier.data-dir}") Path data) {
        api = new Api(port);
        this.corpora = corpora;
        this.jobs = jobs;
        kept = data.resolve("corpora");
    }

    /** Other tests count the corpora. */
    @AfterEach
    void forgetAll() {
        for (int depth = 0; depth < 3; depth++) {
            corpora.list(null).stream().filter(corpus -> corpus.kind() == Kind.REGISTERED).forEach(corpus -> {
                if (corpora.list(null).stream().noneMatch(other -> other.project().equals(corpus.project())
                        && other.mix().stream().anyMatch(part -> part.corpus().equals(corpus.name())))) {
                    corpora.delete(corpus, _ -> java.util.Optional.empty());
                }
            });
        }
    }

    @Test
    void aTextIsKeptAndFoundAndForgotten() throws IOException {
        Api.Answer made = post("{\"name\": \"greeting\", \"text\": \"Grüß Gott\", \"description\": \"a word\"}");
        assertThat(made.status()).as(made.text()).isEqualTo(201);
        assertThat(made.header("Location")).isEqualTo("/v1/corpora/greeting");
        JsonNode corpus = api.get("/v1/corpora/greeting").json();
        assertThat(corpus).isEqualTo(made.json());
        assertThat(corpus.path("source").stringValue()).isEqualTo("text");
        assertThat(corpus.path("bytes").intValue()).isEqualTo(11);
        assertThat(corpus.path("documents").intValue()).isEqualTo(1);
        CorpusRef reference = corpora.reference(corpora.find("greeting", "default").orElseThrow());
        assertThat(Path.of(reference.path())).startsWith(kept).hasContent("Grüß Gott");
        assertThat(post("{\"name\": \"greeting\", \"text\": \"other\"}").code()).isEqualTo("corpus_exists");

        assertThat(delete("greeting").status()).isEqualTo(204);
        assertThat(Path.of(reference.path())).doesNotExist();
        assertThat(api.get("/v1/corpora/greeting").status()).isEqualTo(404);
        assertThat(delete("greeting").status()).isEqualTo(404);
    }

    @Test
    void anUploadIsIdempotentAndItsLinesAreCounted() {
        byte[] lines = "{\"body\": \"a\"}\n\n{\"body\": \"b\"}\n".getBytes(StandardCharsets.UTF_8);
        Api.Answer made = upload("lines?field=body", lines, "application/jsonl");
        assertThat(made.status()).as(made.text()).isEqualTo(201);
        assertThat(made.json().path("documents").intValue()).isEqualTo(2);
        assertThat(made.json().path("field").stringValue()).isEqualTo("body");
        assertThat(upload("lines?field=body", lines, "application/jsonl").status()).isEqualTo(200);
        assertThat(upload("lines", "other".getBytes(StandardCharsets.UTF_8), "text/plain").code()).isEqualTo("corpus_exists");
        assertThat(upload("kjv-test", "other".getBytes(StandardCharsets.UTF_8), "text/plain").code()).isEqualTo("corpus_exists");
        assertThat(upload("lines", lines, "application/json").status()).isEqualTo(415);
    }

    @Test
    void aLongUploadIsStreamedAndOneThatIsRefusedLeavesNothing() throws IOException {
        byte[] text = "In the beginning. ".repeat(1 << 20).getBytes(StandardCharsets.UTF_8);
        Api.Answer made = upload("long", text, "text/plain; charset=utf-8");
        assertThat(made.status()).as(made.text()).isEqualTo(201);
        assertThat(made.json().path("bytes").intValue()).isEqualTo(text.length);
        long files = files();
        text[text.length - 5] = (byte) 0xff;
        Api.Answer refused = upload("broken", text, "text/plain");
        assertThat(refused.code()).isEqualTo("invalid_corpus");
        assertThat(refused.violations()).containsEntry("", "byte " + (text.length - 5) + " is not UTF-8 -> UTF-8 text");
        assertThat(files()).isEqualTo(files);
        assertThat(upload("Bad%20Name?field=x", text, "text/plain").violations()).containsOnlyKeys("name", "field");
    }

    @Test
    void aFileUnderARootIsNamedWhereItIs() throws IOException {
        Path file = Files.createDirectories(ROOT).resolve("named.jsonl");
        Files.writeString(file, "{\"body\": \"x\"}\n{\"text\": \"y\"}\n");
        assertThat(post("{\"name\": \"named\", \"path\": \"" + file + "\", \"field\": \"body\"}").violations()).containsOnlyKeys("path")
                .hasEntrySatisfying("path", said -> assertThat(said).startsWith("line 2: 'body' is missing"));
        Files.writeString(file, "{\"body\": \"x\"}\n");
        assertThat(post("{\"name\": \"named\", \"path\": \"" + file + "\", \"field\": \"body\"}").status()).isEqualTo(201);
        assertThat(corpora.reference(corpora.find("named", "default").orElseThrow()).field()).isEqualTo("body");
        assertThat(delete("named").status()).isEqualTo(204);
        assertThat(file).exists();
        assertThat(post("{\"name\": \"named\", \"path\": \"/etc/hostname\"}").violations()).containsOnlyKeys("path");
    }

    @Test
    void anAddressThatIsNotPublicIsNotAsked() {
        assertThat(post("{\"name\": \"fetched\", \"url\": \"http://secret:secret@127.0.0.2:" + api.port() + "/openapi.yaml?secret=1\"}")
                .violations()).containsOnlyKeys("url").hasEntrySatisfying("url", said -> assertThat(said).doesNotContain("secret"));
        assertThat(api.get("/v1/corpora/fetched").status()).isEqualTo(404);
    }

    @Test
    void aTextBehindAnAllowedAddressIsFetchedOnce() {
        String address = "http://127.0.0.1:" + api.port();
        Api.Answer made = post("{\"name\": \"fetched\", \"url\": \"" + address + "/openapi.yaml\"}");
        assertThat(made.status()).as(made.text()).isEqualTo(201);
        assertThat(made.json().path("source").stringValue()).isEqualTo("url");
        assertThat(Path.of(corpora.reference(corpora.find("fetched", "default").orElseThrow()).path()))
                .hasBinaryContent(api.get("/openapi.yaml").body());
        assertThat(post("{\"name\": \"fetched\", \"url\": \"" + address + "/openapi.yaml\"}").code()).isEqualTo("corpus_exists");
        assertThat(post("{\"name\": \"missing\", \"url\": \"" + address + "/nothing\"}").violations().get("url"))
                .contains("it answered 404");
    }

    @Test
    void mixturesStandForTheirPartsAndHoldThem() {
        post("{\"name\": \"part-a\", \"text\": \"aaa\"}");
        post("{\"name\": \"part-b\", \"text\": \"bbb\"}");
        Api.Answer mix = post(
                "{\"name\": \"mixed\", \"mix\": [{\"corpus\": \"part-a\", \"weight\": 3}, {\"corpus\": \"part-b\", \"weight\": 1.50}]}");
        assertThat(mix.status()).as(mix.text()).isEqualTo(201);
        assertThat(mix.json().path("bytes").intValue()).isEqualTo(6);
        JsonNode other = post(
                "{\"name\": \"mixed-2\", \"mix\": [{\"corpus\": \"part-a\", \"weight\": 3}, {\"corpus\": \"part-b\", \"weight\": 2}]}")
                .json();
        assertThat(other.path("sha256")).isNotEqualTo(mix.json().path("sha256"));
        JsonNode same = post(
                "{\"name\": \"mixed-3\", \"mix\": [{\"corpus\": \"part-a\", \"weight\": 3.0}, {\"corpus\": \"part-b\", \"weight\": 1.5}]}")
                .json();
        assertThat(same.path("sha256")).isEqualTo(mix.json().path("sha256"));
        post("{\"name\": \"nested\", \"mix\": [{\"corpus\": \"mixed\", \"weight\": 1}, {\"corpus\": \"kjv-test\", \"weight\": 1}]}");
        CorpusRef nested = corpora.reference(corpora.find("nested", "default").orElseThrow());
        assertThat(nested.leaves().map(leaf -> Path.of(leaf.path()).getFileName().toString())).hasSize(3).last().isEqualTo("kjv-test.txt");
        assertThat(nested.mix().getFirst().corpus().mix()).extracting(CorpusRef.Part::weight).extracting(Object::toString)
                .containsExactly("3", "1.50");

        Api.Answer refused = delete("part-a");
        assertThat(refused.code()).isEqualTo("corpus_in_use");
        assertThat(refused.json().path("detail").stringValue()).contains("mixed, mixed-2, mixed-3");
        assertThat(delete("mixed").code()).isEqualTo("corpus_in_use");
        for (String name : new String[]{"nested", "mixed", "mixed-2", "mixed-3", "part-a", "part-b"}) {
            assertThat(delete(name).status()).as(name).isEqualTo(204);
        }
    }

    @Test
    void everythingThatIsWrongWithAMixtureIsSaidAtOnce() {
        String mix = "{\"name\": \"circle\", \"mix\": [{\"corpus\": \"circle\", \"weight\": 1}, {\"corpus\": \"nowhere\", \"weight\": 1},"
                + " {\"corpus\": \"kjv-test\", \"weight\": 1}, {\"corpus\": \"kjv-test\", \"weight\": 2}]}";
        assertThat(post(mix).violations()).containsOnlyKeys("mix[0].corpus", "mix[1].corpus", "mix[3].corpus");
        assertThat(
                post("{\"name\": \"UP\", \"mix\": [{\"corpus\": \"kjv-test\", \"weight\": 0}, {\"corpus\": \"kjv-train\", \"weight\": -1},"
                        + " {\"corpus\": \"x\", \"weight\": 1e300}, {\"corpus\": \"y\"}, null], \"colour\": 1}").violations())
                .containsOnlyKeys("name", "mix[0].weight", "mix[1].weight", "mix[2].weight", "mix[3].weight", "mix[4]", "colour");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"{'name': 'x'}|''", "{'name': 'x', 'text': 'a', 'path': '/b'}|''",
            "{'name': 'x', 'text': ''}|text", "{'name': 'x', 'text': '  '}|text", "{'name': 'x', 'text': 'a^u0000b'}|text",
            "{'text': 'a'}|name", "{'name': 'a/b', 'text': 'a'}|name", "{'name': 'x', 'text': 'a', 'field': 'f'}|field",
            "{'name': 'x', 'mix': []}|mix", "{'name': 'x', 'text': 'a', 'project': 'A b'}|project",
            "{'name': 'x', 'url': 'ftp://a/b'}|url"})
    void aBadOrderNamesItsField(String order, String field) {
        Api.Answer refused = post(order.replace('\'', '"').replace('^', '\\'));
        assertThat(refused.status()).as(refused.text()).isEqualTo(422);
        assertThat(refused.violations()).containsKey(field);
        assertThat(corpora.find("x", "default")).isEmpty();
    }

    @Test
    void aNotANumberIsNoJson() {
        assertThat(post("{\"name\": \"x\", \"mix\": [{\"corpus\": \"kjv-test\", \"weight\": NaN}]}").code()).isEqualTo("malformed_json");
    }

    @Test
    void aCorpusThatALiveJobNeedsStays() {
        post("{\"name\": \"needed\", \"text\": \"In the beginning\"}");
        post("{\"name\": \"needing\", \"mix\": [{\"corpus\": \"needed\", \"weight\": 1}]}");
        String order = Posted.SHORTEST.replace("{\"text\": \"In the beginning\"}", "\"needing\"");
        String job = api.ordered(order);
        assertThat(delete("needing").code()).isEqualTo("corpus_in_use");
        assertThat(jobs.find(job).orElseThrow().inputs().calibration().mix()).hasSize(1);
        api.post("/v1/pruning-jobs/" + job + "/cancel");
        assertThat(delete("needing").status()).isEqualTo(204);
        String direct = api.ordered(order.replace("needing", "needed"));
        assertThat(delete("needed").json().path("detail").stringValue()).contains(direct);
        api.post("/v1/pruning-jobs/" + direct + "/cancel");
        assertThat(delete("needed").status()).isEqualTo(204);
    }

    @ParameterizedTest
    @CsvSource({"%00", "%ff", "A", "''", "a/b"})
    void aProjectThatIsNoneIsNotLookedFor(String project) {
        for (String path : new String[]{"/v1/corpora", "/v1/corpora/kjv-test", "/v1/corpora/kjv-test/tokens"}) {
            Api.Answer refused = api.get(path + "?model=tiny-qwen2moe&project=" + project);
            assertThat(refused.code()).as(path).isEqualTo("invalid_request");
        }
    }

    @Test
    void aBundledCorpusStays() {
        assertThat(delete("kjv-test").code()).isEqualTo("corpus_in_use");
    }

    @Test
    void namesAreAProjectsOwn() {
        assertThat(post("{\"name\": \"twice\", \"text\": \"one\", \"project\": \"a\"}").status()).isEqualTo(201);
        assertThat(post("{\"name\": \"twice\", \"text\": \"two\", \"project\": \"b\"}").status()).isEqualTo(201);
        assertThat(api.get("/v1/corpora/twice").status()).isEqualTo(404);
        assertThat(api.get("/v1/corpora/twice?project=b").json().path("project").stringValue()).isEqualTo("b");
        assertThat(api.get("/v1/corpora?project=a").json().path("items")).extracting(each -> each.path("name").stringValue())
                .contains("twice", "kjv-test").doesNotContain("lines");
        assertThat(api.order(Posted.SHORTEST.replace("{\"text\": \"In the beginning\"}", "\"twice\"")).violations())
                .containsOnlyKeys("calibration.corpus.name");
    }

    @Test
    void withoutAWorkerTokensAreSaidAsFarAsTheyWereCounted() {
        JsonNode unknown = api.get("/v1/corpora/kjv-test/tokens?model=tiny-qwen2moe").json();
        assertThat(unknown.path("tokens").isNull()).isTrue();
        assertThat(unknown.path("why").stringValue()).contains("no worker");
        post("{\"name\": \"counted\", \"text\": \"a\"}");
        corpora.counted(corpora.find("counted", "default").orElseThrow(), unknown.path("tokenizer_sha256").stringValue(), 12_345);
        assertThat(api.get("/v1/corpora/counted/tokens?model=tiny-qwen2moe").json().path("tokens").intValue()).isEqualTo(12_345);
        assertThat(api.get("/v1/corpora/counted").json().path("tokens").get(0).path("tokens").intValue()).isEqualTo(12_345);
        assertThat(api.get("/v1/corpora/counted/tokens?model=nowhere").status()).isEqualTo(400);
        assertThat(api.get("/v1/corpora/nowhere/tokens?model=tiny-qwen2moe").status()).isEqualTo(404);
    }

    private Api.Answer post(String json) {
        return api.send("POST", "/v1/corpora", json.getBytes(StandardCharsets.UTF_8), "Content-Type", "application/json");
    }

    private Api.Answer upload(String nameAndQuery, byte[] body, String type) {
        String[] parts = nameAndQuery.split("\\?");
        return api.send("PUT", "/v1/corpora/" + parts[0] + "/content" + (parts.length > 1 ? "?" + parts[1] : ""), body, "Content-Type",
                type);
    }

    private Api.Answer delete(String name) {
        return api.send("DELETE", "/v1/corpora/" + name, null);
    }

    private long files() throws IOException {
        try (Stream<Path> listed = Files.list(kept)) {
            return listed.count();
        }
    }
}

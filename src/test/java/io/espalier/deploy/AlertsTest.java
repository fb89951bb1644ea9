package io.espalier.deploy;

import static io.espalier.deploy.Chart.at;
import static io.espalier.deploy.Chart.list;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.junit.jupiter.api.Test;
import org.yaml.snakeyaml.Yaml;

/**
 * Alert rules and the dashboard's panels. Prometheus' own tool says what they mean, where it is there: {@code promtool} on the path, or
 * {@code target/tools/promtool}, where {@code .ci/run} puts it.
 */
class AlertsTest {

    private static final Path RULES = Chart.HOME.resolve("files/alerts.yaml");

    @Test
    void alertsAndPanelsAskForMetricsThatThereAre() throws IOException {
        String readme = Files.readString(Path.of("README.md"));
        List<String> asked = new ArrayList<>(panels());
        for (Map<String, Object> rule : rules()) {
            assertThat(at(rule, "annotations")).containsOnlyKeys("summary", "description");
            asked.add((String) rule.get("expr"));
        }
        assertThat(asked).hasSizeGreaterThan(20);
        for (String question : asked) {
            Matcher metric = Pattern.compile("espalier_[a-z_]+").matcher(question);
            while (metric.find()) {
                assertThat(readme).as(question).contains("| `" + metric.group().replaceFirst("_bucket$", "") + "` |");
            }
        }
        Map<String, Object> rendered = Chart.only(Chart.render("full.yaml", _ -> {}), "PrometheusRule");
        assertThat(at(rendered, "spec")).isEqualTo(new Yaml().load(Files.readString(RULES)));
    }

    @Test
    void theRulesFireWhenTheyShouldAndOnlyThen() throws Exception {
        promtool("check", "rules", RULES.toString());
        assertThat(promtool("test", "rules", "src/test/resources/promtool/alerts.yaml")).contains("SUCCESS");
    }

    @Test
    void everyAlertIsTried() throws IOException {
        String tried = Files.readString(Path.of("src/test/resources/promtool/alerts.yaml"));
        assertThat(rules()).allSatisfy(rule -> assertThat(tried).contains("alertname: " + rule.get("alert") + "\n        exp_alerts:"));
    }

    /** Each panel's question as a recorded series, because rules are what the tool reads. */
    @Test
    void thePanelsQuestionsAreOnesThatPrometheusUnderstands() throws Exception {
        List<Map<String, Object>> recorded = new ArrayList<>();
        for (String question : panels()) {
            Map<String, Object> rule = new LinkedHashMap<>();
            rule.put("record", "panel:" + recorded.size());
            rule.put("expr", question.replace("$namespace", ".+").replace("$service", ".+"));
            recorded.add(rule);
        }
        Path rules = Path.of("target", "panels.yaml");
        Files.writeString(rules, new Yaml().dump(Map.of("groups", List.of(Map.of("name", "panels", "rules", recorded)))));
        assertThat(promtool("check", "rules", rules.toString())).contains(recorded.size() + " rules found");
    }

    private static List<Map<String, Object>> rules() throws IOException {
        return list(list(new Yaml().load(Files.readString(RULES)), "groups").getFirst(), "rules");
    }

    private static List<String> panels() throws IOException {
        Map<String, Object> board = new Yaml().load(Files.readString(Chart.HOME.resolve("files/dashboard.json")));
        return list(board, "panels").stream().flatMap(panel -> list(panel, "targets").stream()).map(target -> (String) target.get("expr"))
                .toList();
    }

    private static String promtool(String... arguments) throws IOException, InterruptedException {
        Path own = Path.of("target", "tools", "promtool");
        List<String> command = new ArrayList<>(List.of(Files.isExecutable(own) ? own.toAbsolutePath().toString() : "promtool"));
        assumeTrue(Files.isExecutable(own) || Path.of("/usr/bin/promtool").toFile().canExecute(), "needs promtool");
        command.addAll(List.of(arguments));
        Path said = Files.createTempFile("promtool", ".txt");
        Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(said.toFile()).start();
        boolean ended = process.waitFor(1, TimeUnit.MINUTES);
        process.destroyForcibly();
        String text = Files.readString(said);
        Files.delete(said);
        assertThat(ended && process.exitValue() == 0).as("%s%n%s", command, text).isTrue();
        return text;
    }
}

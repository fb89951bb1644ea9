package io.espalier.telemetry;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Map;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.LoggingEvent;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.logging.logback.StructuredLogEncoder;
import org.springframework.core.env.Environment;
import org.springframework.core.env.StandardEnvironment;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A line of the log as JSON, in the formats that the settings offer. */
class LogFormatTest {

    @ParameterizedTest
    @ValueSource(strings = {"ecs", "logstash", "gelf"})
    void aLineIsOneObjectThatSaysJobPieceWorkerAndTrace(String format) {
        LoggerContext context = new LoggerContext();
        context.putObject(Environment.class.getName(), new StandardEnvironment());
        StructuredLogEncoder encoder = new StructuredLogEncoder();
        encoder.setContext(context);
        encoder.setFormat(format);
        encoder.start();
        LoggingEvent event = new LoggingEvent("", context.getLogger("io.espalier.Test"), Level.WARN, "two\nlines", null, null);
        event.setMDCPropertyMap(
                Map.of(LogLines.JOB, "job_1", LogLines.PIECE, "3", LogLines.ATTEMPT, "7", LogLines.WORKER, "host/1", "traceId",
                        "4bf92f3577b34da6a3ce929d0e0e4736"));

        String line = new String(encoder.encode(event), StandardCharsets.UTF_8);

        assertThat(line.strip().lines()).hasSize(1);
        JsonNode object = JsonMapper.shared().readTree(line);
        String dash = format.equals("gelf") ? "_" : "";
        assertThat(object.path(dash + "job_id").stringValue()).isEqualTo("job_1");
        assertThat(object.path(dash + "piece").stringValue()).isEqualTo("3");
        assertThat(object.path(dash + "attempt").stringValue()).isEqualTo("7");
        assertThat(object.path(dash + "worker").stringValue()).isEqualTo("host/1");
        assertThat(line).contains("4bf92f3577b34da6a3ce929d0e0e4736");
    }
}

package io.espalier.platform;

import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Pattern;

import jakarta.validation.Validation;
import jakarta.validation.Validator;
import jakarta.validation.ValidatorFactory;

import io.espalier.security.SecurityCheck;
import org.springframework.beans.factory.config.BeanFactoryPostProcessor;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.BindException;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.core.ResolvableType;
import org.springframework.core.env.Environment;
import org.springframework.stereotype.Component;
import org.springframework.util.unit.DataSize;

/**
 * Reads every setting of every room before anything else starts, one by one, so that everything that is wrong is said at once. Spring would stop at the
 * first record that does not bind, and by then the database might be running.
 */
@Component
class SettingsCheck implements BeanFactoryPostProcessor {

    /** Settings that are one, not those that say where some are or how many. */
    private static final Pattern SECRET = Pattern.compile(".*(secret|password|token|access-key|secret-key)");

    @Override
    public void postProcessBeanFactory(ConfigurableListableBeanFactory beans) {
        Environment environment = beans.getBean(Environment.class);
        TreeSet<String> problems = new TreeSet<>();
        try (ValidatorFactory factory = Validation.buildDefaultValidatorFactory()) {
            for (String name : beans.getBeanNamesForAnnotation(ConfigurationProperties.class)) {
                Class<?> type = beans.getType(name, false);
                if (type != null && type.getName().startsWith("io.espalier.")) {
                    String prefix = type.getAnnotation(ConfigurationProperties.class).value();
                    problems.addAll(problems(prefix, type, environment, factory.getValidator()));
                }
            }
        }
        String url = environment.getProperty("spring.datasource.url", "");
        if ("external".equalsIgnoreCase(environment.getProperty("espalier.database.mode")) && !url.startsWith("jdbc:postgresql:")) {
            problems.add("spring.datasource.url: " + (url.isBlank() ? "missing" : url.replaceFirst("\\?.*", ""))
                    + " (expected: an address such as jdbc:postgresql://host:5432/espalier, because espalier.database.mode is external)");
        }
        if (!MigrationOnly.wanted(environment) && "false".equalsIgnoreCase(environment.getProperty("espalier.api.enabled"))
                && "false".equalsIgnoreCase(environment.getProperty("espalier.worker.enabled"))) {
            problems.add("espalier.api.enabled, espalier.worker.enabled: false, false (expected: at least one of them true; a process with "
                    + "neither has nothing to do)");
        }
        problems.addAll(storage(environment));
        problems.addAll(springs(environment));
        String collector = environment.getProperty("management.opentelemetry.tracing.export.otlp.endpoint", "");
        if ("true".equalsIgnoreCase(environment.getProperty("management.tracing.export.enabled")) && !collector.matches("https?://.+")) {
            problems.add("management.opentelemetry.tracing.export.otlp.endpoint: " + (collector.isBlank() ? "missing" : collector)
                    + " (expected: an address such as http://localhost:4318/v1/traces, because management.tracing.export.enabled is true)");
        }
        problems.addAll(SecurityCheck.problems(environment));
        if (!problems.isEmpty()) {
            throw new StartRefused("These settings are wrong:\n  " + String.join("\n  ", problems),
                    "Correct them in the environment (ESPALIER_WORKER_POLL for espalier.worker.poll), on the command line or in a file; "
                            + "the README lists every setting.");
        }
    }

    /** What one room's settings ask of another's. */
    private static List<String> storage(Environment environment) {
        List<String> problems = new ArrayList<>();
        if ("s3".equalsIgnoreCase(environment.getProperty("espalier.artifacts.store"))
                && environment.getProperty("espalier.s3.bucket", "").isBlank()) {
            problems.add("espalier.s3.bucket: missing (expected: the name of a bucket, because espalier.artifacts.store is s3)");
        }
        boolean id = environment.getProperty("espalier.s3.access-key", "").isBlank();
        boolean secret = environment.getProperty("espalier.s3.secret-key", "").isBlank();
        if (id != secret) {
            problems.add(
                    "espalier.s3." + (id ? "access-key" : "secret-key") + ": missing (expected: both keys of the account, or neither)");
        }
        return problems;
    }

    /** Settings of Spring's own that the README lists; where they are read it is late, and the words are not for operators. */
    private static List<String> springs(Environment environment) {
        List<String> problems = new ArrayList<>();
        for (String port : List.of("server.port", "management.server.port")) {
            problems.addAll(foreign(environment, port, Integer.class, number -> number >= -1 && number <= 65535, "a port, 0 to 65535"));
        }
        problems.addAll(foreign(environment, "server.max-http-request-header-size", DataSize.class, size -> size.toBytes() > 0,
                "a size such as 16KB"));
        problems.addAll(foreign(environment, "spring.lifecycle.timeout-per-shutdown-phase", Duration.class,
                duration -> !duration.isNegative(), "a duration such as 30s"));
        problems.addAll(foreign(environment, "management.tracing.sampling.probability", Double.class, share -> share >= 0 && share <= 1,
                "a share, 0 to 1"));
        return problems;
    }

    private static <T> List<String> foreign(Environment environment, String name, Class<T> type, Predicate<T> fits, String expected) {
        boolean good;
        try {
            good = Binder.get(environment).bind(name, type).map(fits::test).orElse(true);
        } catch (BindException e) {
            good = false;
        }
        return good ? List.of() : List.of(name + ": " + shown(environment, name, null) + " (expected: " + expected + ")");
    }

    /** A value as it was given, where it may be printed. */
    private static Object shown(Environment environment, String name, Object value) {
        String given = environment.getProperty(name);
        if (given == null || given.isEmpty()) {
            return value;
        }
        // why: an address may have a password in it, and what is said here goes into a log
        return SECRET.matcher(name).matches() ? "not shown" : given.replaceAll("(://[^/\\s:@]*:)[^@\\s/]+(?=@)", "$1***");
    }

    private static List<String> problems(String prefix, Class<?> settings, Environment environment, Validator validator) {
        Binder binder = Binder.get(environment);
        List<String> problems = new ArrayList<>();
        for (RecordComponent component : settings.getRecordComponents()) {
            String name = prefix + "." + kebab(component.getName());
            Class<?> type = component.getType();
            if (type.isRecord()) {
                problems.addAll(problems(name, type, environment, validator));
                continue;
            }
            try {
                Object value = binder
                        .bind(ConfigurationPropertyName.of(name), Bindable.of(ResolvableType.forType(component.getGenericType())))
                        .orElse(null);
                validator.validateValue(settings, component.getName(), value)
                        .forEach(violation -> problems
                                .add(name + ": " + shown(environment, name, value) + " (expected: " + violation.getMessage() + ")"));
                if (value instanceof DataSize size && size.isNegative()) {
                    problems.add(name + ": " + shown(environment, name, value) + " (expected: 0B or more)");
                }
            } catch (BindException e) {
                problems.add(name + ": " + (e.getProperty() == null ? "missing" : shown(environment, name, e.getProperty().getValue()))
                        + " (expected: "
                        + expected(type) + ")");
            }
        }
        return problems;
    }

    private static String expected(Class<?> type) {
        if (type.isEnum()) {
            return String.join(" or ",
                    Arrays.stream(type.getEnumConstants()).map(word -> word.toString().toLowerCase(Locale.ROOT)).toList());
        }
        return switch (type.getSimpleName()) {
            case "Duration" -> "a duration such as 500ms, 2s or 5m";
            case "DataSize" -> "a size such as 8MB";
            case "int", "long" -> "a whole number";
            case "boolean" -> "true or false";
            default -> "a " + type.getSimpleName().toLowerCase(Locale.ROOT);
        };
    }

    private static String kebab(String camelCase) {
        return camelCase.replaceAll("([a-z])([A-Z])", "$1-$2").toLowerCase(Locale.ROOT);
    }
}

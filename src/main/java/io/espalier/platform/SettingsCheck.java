package io.espalier.platform;

import java.util.ArrayList;
import java.util.List;

import jakarta.validation.Validation;
import jakarta.validation.ValidatorFactory;

import org.springframework.beans.factory.config.BeanFactoryPostProcessor;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.BindException;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.bind.validation.BindValidationException;
import org.springframework.boot.context.properties.bind.validation.ValidationBindHandler;
import org.springframework.core.env.Environment;
import org.springframework.stereotype.Component;
import org.springframework.validation.FieldError;
import org.springframework.validation.beanvalidation.SpringValidatorAdapter;

/** Binds the settings of all rooms before anything else starts, so that everything that is wrong with them is said at once. */
@Component
class SettingsCheck implements BeanFactoryPostProcessor {

    @Override
    public void postProcessBeanFactory(ConfigurableListableBeanFactory beans) {
        Environment environment = beans.getBean(Environment.class);
        List<String> problems = new ArrayList<>();
        // why not simply ask for the beans: their messages need a context that is further on, and by then the database is starting
        try (ValidatorFactory factory = Validation.buildDefaultValidatorFactory()) {
            SpringValidatorAdapter validator = new SpringValidatorAdapter(factory.getValidator());
            for (String name : beans.getBeanNamesForAnnotation(ConfigurationProperties.class)) {
                Class<?> type = beans.getType(name, false);
                if (type != null && type.getName().startsWith("io.espalier.")) {
                    String prefix = type.getAnnotation(ConfigurationProperties.class).value();
                    try {
                        Binder.get(environment).bindOrCreate(prefix, Bindable.of(type), new ValidationBindHandler(validator));
                    } catch (BindException e) {
                        problems.addAll(problems(e));
                    }
                }
            }
        }
        if ("external".equalsIgnoreCase(environment.getProperty("espalier.database.mode"))
                && environment.getProperty("spring.datasource.url", "").isBlank()) {
            problems.add("spring.datasource.url: missing (expected: a JDBC address, because espalier.database.mode is external)");
        }
        if (!problems.isEmpty()) {
            throw new StartRefused("These settings are wrong:\n  " + String.join("\n  ", problems),
                    "Correct them in the environment (ESPALIER_WORKER_POLL for espalier.worker.poll), on the command line or in a file; "
                            + "the README lists every setting.");
        }
    }

    private static List<String> problems(BindException failure) {
        for (Throwable t = failure; t != null; t = t.getCause()) {
            if (t instanceof BindValidationException invalid) {
                String prefix = invalid.getValidationErrors().getName() + ".";
                return invalid.getValidationErrors().getAllErrors().stream().map(error -> error instanceof FieldError field
                        ? prefix + kebab(field.getField()) + ": " + field.getRejectedValue() + " (" + field.getDefaultMessage() + ")"
                        : prefix + error.getDefaultMessage()).sorted().toList();
            }
            if (t instanceof BindException unreadable && !(t.getCause() instanceof BindValidationException)
                    && !(t.getCause() instanceof BindException)) {
                return List.of(
                        unreadable.getName() + ": " + (unreadable.getProperty() == null ? "missing" : unreadable.getProperty().getValue())
                                + " (expected: " + expected(unreadable) + ")");
            }
        }
        throw failure;
    }

    private static String expected(BindException unreadable) {
        Class<?> type = unreadable.getTarget().getType().resolve(Object.class);
        if (type.isEnum()) {
            return List.of(type.getEnumConstants()).toString().toLowerCase(java.util.Locale.ROOT);
        }
        return switch (type.getSimpleName()) {
            case "Duration" -> "a duration such as 500ms, 2s or 5m";
            case "int", "long", "Integer", "Long" -> "a whole number";
            case "boolean", "Boolean" -> "true or false";
            default -> "a " + type.getSimpleName();
        };
    }

    private static String kebab(String camelCase) {
        return camelCase.replaceAll("([a-z])([A-Z])", "$1-$2").toLowerCase(java.util.Locale.ROOT);
    }
}

package io.espalier.platform;

import java.util.Map;

import org.springframework.boot.ApplicationRunner;
import org.springframework.boot.EnvironmentPostProcessor;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.Environment;
import org.springframework.core.env.MapPropertySource;

/** A process that brings the tables to its version and ends, as an installation's first step: it has no role, no port and no tensor library. */
final class MigrationOnly implements EnvironmentPostProcessor {

    private static final String KEY = "espalier.database.migrate";
    private static final String ONLY = "only";

    static boolean wanted(Environment environment) {
        return ONLY.equalsIgnoreCase(environment.getProperty(KEY));
    }

    @Override
    public void postProcessEnvironment(ConfigurableEnvironment environment, SpringApplication application) {
        if (wanted(environment)) {
            environment.getPropertySources().addFirst(new MapPropertySource("migration only", Map.of("espalier.api.enabled", "false",
                    "espalier.worker.enabled", "false", "spring.main.web-application-type", "none", "spring.main.keep-alive", "false")));
        }
    }

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnProperty(name = KEY, havingValue = ONLY)
    static class End {

        @Bean
        ApplicationRunner end(ConfigurableApplicationContext context) {
            return _ -> SpringApplication.exit(context);
        }
    }
}

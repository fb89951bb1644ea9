package io.espalier.platform;

import java.sql.Connection;
import java.sql.SQLException;

import javax.sql.DataSource;

import com.zaxxer.hikari.HikariDataSource;
import io.micrometer.core.instrument.binder.MeterBinder;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.flyway.autoconfigure.FlywayDataSource;
import org.springframework.boot.jdbc.autoconfigure.DataSourceProperties;
import org.springframework.boot.jdbc.autoconfigure.JdbcConnectionDetails;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.ApplicationEventPublisher;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.core.env.Environment;
import org.springframework.jdbc.datasource.DriverManagerDataSource;

/** The way to the database: past the gate, through two pools, on its clock. */
@Configuration(proxyBeanMethods = false)
class DatabaseConfiguration {

    /** Everything that connects is handed this, so that nothing connects before the database is there. */
    @Bean
    DatabaseAddress databaseAddress(DatabaseSettings settings, DataSourceProperties external,
            ObjectProvider<JdbcConnectionDetails> embedded) {
        JdbcConnectionDetails details = embedded.getIfAvailable();
        DatabaseAddress address = details == null
                ? new DatabaseAddress(external.getUrl(), external.getUsername(), external.getPassword(), settings.connections())
                : new DatabaseAddress(details.getJdbcUrl(), details.getUsername(), details.getPassword(), settings.connections());
        DatabaseGate.await(address, settings.startupWait());
        return address;
    }

    @Bean
    Pools dataSource(DatabaseAddress address, Environment environment) {
        boolean worker = environment.getRequiredProperty("espalier.worker.enabled", boolean.class);
        return new Pools(address, environment.getRequiredProperty("espalier.api.enabled", boolean.class),
                worker ? "worker" : "housekeeping");
    }

    /** For the end of the queue where jobs come out. */
    @Bean(defaultCandidate = false)
    @Qualifier("queue")
    HikariDataSource queueConnections(DatabaseAddress address) {
        return Pools.queue(address);
    }

    /** The pools' own meters, named hikaricp. */
    @Bean
    MeterBinder connectionMeters(DataSource dataSource, @Qualifier("queue") HikariDataSource queue) {
        return meters -> {
            // why asked: whoever watches the statements puts himself around the pools
            if (dataSource instanceof Pools pools) {
                pools.measure(meters);
            }
            Pools.measure(queue, meters);
        };
    }

    /** Connections for Flyway alone: a migration may take its time. */
    @Bean(defaultCandidate = false)
    @FlywayDataSource
    DataSource migrationConnections(DatabaseAddress address) {
        DriverManagerDataSource connections = new DriverManagerDataSource(address.url(), address.user(), address.password());
        connections.setConnectionProperties(address.driver("migration", java.time.Duration.ZERO));
        return connections;
    }

    @Bean
    Schema schema(DatabaseAddress address, DatabaseSettings settings, Environment environment) {
        return new Schema(address, settings.startupWait(), settings.migrate(),
                environment.getRequiredProperty("spring.application.version"));
    }

    @Bean
    DatabaseClock clock(DatabaseAddress address) throws SQLException {
        try (Connection connection = address.open("clock", address.limits().connectTimeout())) {
            return new DatabaseClock(DatabaseClock.Database.over(connection), System::nanoTime);
        }
    }

    @Bean
    Pulse databaseHealthIndicator(DatabaseAddress address, Schema schema, DatabaseClock clock, DatabaseSettings settings,
            ApplicationEventPublisher events) {
        return new Pulse(address, schema, clock, settings, events);
    }

    @Bean
    @ConditionalOnWebApplication
    FilterRegistrationBean<Pools.OfRequests> connectionsOfRequests() {
        FilterRegistrationBean<Pools.OfRequests> filter = new FilterRegistrationBean<>(new Pools.OfRequests());
        filter.setOrder(Ordered.HIGHEST_PRECEDENCE);
        return filter;
    }
}

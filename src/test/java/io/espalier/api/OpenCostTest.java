package io.espalier.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

import javax.sql.DataSource;

import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.test.context.TestConfiguration;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Import;
import org.springframework.jdbc.datasource.DelegatingDataSource;

/** What security costs where it is off: no statement more than the request itself needs. */
@ApiTest
@Import(OpenCostTest.Counting.class)
class OpenCostTest {

    /** Everything that requests ask of the database. */
    private static final List<String> STATEMENTS = Collections.synchronizedList(new ArrayList<>());

    @TestConfiguration(proxyBeanMethods = false)
    static class Counting {
        @Bean
        static BeanPostProcessor counting() {
            return new BeanPostProcessor() {
                @Override
                public Object postProcessAfterInitialization(Object bean, String name) {
                    return name.equals("dataSource") ? new Counted((DataSource) bean) : bean;
                }
            };
        }
    }

    private static final class Counted extends DelegatingDataSource {
        Counted(DataSource real) {
            super(real);
        }

        @Override
        public Connection getConnection() throws SQLException {
            return counted(super.getConnection(), Connection.class, null);
        }

        private static <T> T counted(T real, Class<T> type, String sql) {
            return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[]{type}, (proxy, method, arguments) -> {
                try {
                    if (method.getName().startsWith("execute") && sql != null && Thread.currentThread().getName().contains("tomcat")) {
                        STATEMENTS.add(sql);
                    }
                    Object result = method.invoke(real, arguments);
                    return result instanceof PreparedStatement statement
                            ? counted(statement, PreparedStatement.class, String.valueOf(arguments[0]))
                            : result;
                } catch (InvocationTargetException e) {
                    throw e.getCause();
                }
            }));
        }
    }

    private final Api api;
    private final Runs runs;

    OpenCostTest(@LocalServerPort int port, Runs runs) {
        api = new Api(port);
        this.runs = runs;
    }

    private int cost(String method, String path) {
        STATEMENTS.clear();
        assertThat(api.send(method, path, null).status()).as(path).isIn(200, 202, 204);
        return STATEMENTS.size();
    }

    @Test
    void aLookIsOneQuestionAndAVerbDoesNotLookFirst() {
        String done = api.ordered(Posted.SHORTEST);
        String artifact = runs.succeed(done);
        String set = api.get("/v1/pruning-jobs/" + done).json().at("/score_set/id").stringValue();
        assertThat(STATEMENTS).as("the count counts").isNotEmpty();

        assertThat(cost("GET", "/v1/pruning-jobs/" + done)).as(STATEMENTS.toString()).isEqualTo(1);
        assertThat(cost("GET", "/v1/pruning-jobs?limit=2")).as(STATEMENTS.toString()).isEqualTo(1);
        assertThat(cost("GET", "/v1/score-sets/" + set)).as(STATEMENTS.toString()).isEqualTo(1);
        assertThat(cost("GET", "/v1/score-sets?limit=2")).as(STATEMENTS.toString()).isEqualTo(1);
        assertThat(cost("GET", "/v1/artifacts/" + artifact)).as(STATEMENTS.toString()).isEqualTo(1);
        assertThat(cost("GET", "/v1/models")).as(STATEMENTS.toString()).isEqualTo(1);
        assertThat(cost("GET", "/v1/methods")).as(STATEMENTS.toString()).isEqualTo(0);
        String waiting = api.ordered(Posted.SHORTEST);
        cost("POST", "/v1/pruning-jobs/" + waiting + "/pause");
        assertThat(STATEMENTS.stream().filter(sql -> sql.contains("from pruning_job") && sql.startsWith("select")))
                .as("the job is read once")
                .hasSize(1);
        assertThat(STATEMENTS).noneMatch(sql -> sql.contains("api_key"));
    }
}

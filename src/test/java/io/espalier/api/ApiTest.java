package io.espalier.api;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

import io.espalier.TestDatabase;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.context.annotation.Import;
import org.springframework.test.context.ContextConfiguration;
import org.springframework.test.context.TestConstructor;

/** The whole service on a free port and a real PostgreSQL, with nobody who carries the jobs out. One context serves all of these tests. */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT, properties = {"espalier.worker.enabled=false",
        "espalier.roots=${user.dir}/target/api-test/root", "espalier.egress.allow=127.0.0.1", "espalier.egress.http=true",
        "espalier.webhooks.poll=50ms", "espalier.webhooks.retries=50ms,50ms,1h",
        "espalier.webhooks.secrets=${user.dir}/target/api-test/secrets", "espalier.models.max-bytes=8000TB",
        "espalier.models.max-part=1MB"})
@ContextConfiguration(initializers = TestDatabase.class)
@Import(Runs.class)
@TestConstructor(autowireMode = TestConstructor.AutowireMode.ALL)
@interface ApiTest {
}

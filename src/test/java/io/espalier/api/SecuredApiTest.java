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

/** The same service as of an {@link ApiTest}, with security on: it trusts the {@link Issuer}, and API keys. */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@SpringBootTest(webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT, properties = {"espalier.worker.enabled=false",
        "espalier.roots=${user.dir}/target/api-test/root", "espalier.egress.allow=127.0.0.1", "espalier.egress.http=true",
        "espalier.webhooks.deliver=false"})
@ContextConfiguration(initializers = {TestDatabase.class, Issuer.class})
@Import(Runs.class)
@TestConstructor(autowireMode = TestConstructor.AutowireMode.ALL)
@interface SecuredApiTest {
}

package io.espalier;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;

/** The service. Everything it does lives in the rooms below; the README says which. */
@SpringBootApplication
@ConfigurationPropertiesScan
public class EspalierApplication {

    public static void main(String[] args) {
        SpringApplication.run(EspalierApplication.class, args);
    }
}

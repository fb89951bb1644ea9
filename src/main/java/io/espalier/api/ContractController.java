package io.espalier.api;

import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@RestController
final class ContractController {

    private final OpenApi contract;

    ContractController(OpenApi contract) {
        this.contract = contract;
    }

    @GetMapping(value = "/openapi.yaml", produces = "application/yaml")
    byte[] contract() {
        return contract.yaml();
    }
}

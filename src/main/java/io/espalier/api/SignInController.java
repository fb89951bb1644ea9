package io.espalier.api;

import io.espalier.security.SignIn;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Says to whoever has no token how to get one. */
@RestController
final class SignInController {

    static final String PATH = "/v1/sign-in";

    private final SignIn signIn;

    SignInController(SignIn signIn) {
        this.signIn = signIn;
    }

    @GetMapping(path = PATH, produces = MediaType.APPLICATION_JSON_VALUE)
    SignIn.Offer offer() {
        return signIn.offer();
    }
}

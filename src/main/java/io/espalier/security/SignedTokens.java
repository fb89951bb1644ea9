package io.espalier.security;

import java.io.IOException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.jwk.source.RateLimitReachedException;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtException;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;

/** Reads signed tokens (RFC 7519, RFC 9068): signature by RS256 or ES256, times, issuer, audience; then who it is, whose, and what they may do. */
final class SignedTokens {

    private static final Set<JWSAlgorithm> ALGORITHMS = Set.of(JWSAlgorithm.RS256, JWSAlgorithm.ES256);
    private static final Pattern PROJECT = Pattern.compile("[a-z0-9][a-z0-9-]{0,62}");
    private static final int NAME_LENGTH = 200;

    private final SecuritySettings.Jwt settings;
    private final NimbusJwtDecoder decoder;

    SignedTokens(SecuritySettings.Jwt settings, Clock clock) throws IOException {
        this.settings = settings;
        decoder = decoder(TrustedKeys.of(settings));
        JwtTimestampValidator times = new JwtTimestampValidator(settings.clockSkew());
        times.setClock(clock);
        times.setAllowEmptyExpiryClaim(false);
        List<OAuth2TokenValidator<Jwt>> validators = new ArrayList<>(List.of(times,
                new JwtClaimValidator<Collection<String>>("aud", audience -> audience != null && audience.contains(settings.audience()))));
        if (TrustedKeys.given(settings.issuerUri())) {
            validators.add(new JwtIssuerValidator(settings.issuerUri()));
        }
        decoder.setJwtValidator(new DelegatingOAuth2TokenValidator<>(validators));
    }

    private static NimbusJwtDecoder decoder(JWKSource<SecurityContext> keys) {
        DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(ALGORITHMS, keys));
        processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(JOSEObjectType.JWT, new JOSEObjectType("at+jwt"), null));
        processor.setJWTClaimsSetVerifier((claims, context) -> {});
        return new NimbusJwtDecoder(processor);
    }

    /**
     * Whose token this is.
     *
     * @throws RefusedTokenException when it is not to be trusted, or says too little
     * @throws IssuerAwayException when the keys that would tell cannot be had now
     */
    Holder holder(String text) {
        Jwt token;
        try {
            token = decoder.decode(text);
        } catch (BadJwtException e) {
            throw RefusedTokenException.invalid(e.getMessage(), e);
        } catch (JwtException e) {
            if (isRest(e)) {
                throw RefusedTokenException.invalid("the token is signed by a key that its issuer does not list", e);
            }
            throw new IssuerAwayException("the keys of the tokens' issuer cannot be fetched now; try again in a moment", e);
        }
        Role role = role(token).orElseThrow(() -> RefusedTokenException.powerless("the token has no role (expected: the claim "
                + settings.rolesClaim() + " with " + settings.rolePrefix() + "viewer, " + settings.rolePrefix() + "submitter or "
                + settings.rolePrefix() + "admin)"));
        return new Holder(name(token), project(token, role), role);
    }

    private static boolean isRest(Throwable thrown) {
        for (Throwable t = thrown; t != null; t = t.getCause()) {
            if (t instanceof RateLimitReachedException) {
                return true;
            }
        }
        return false;
    }

    private static String name(Jwt token) {
        String name = "jwt:" + (token.getSubject() == null ? "nobody" : token.getSubject().replaceAll("\\p{C}", "?"));
        return name.length() > NAME_LENGTH ? name.substring(0, NAME_LENGTH) : name;
    }

    private Optional<Role> role(Jwt token) {
        Object claim = claim(token, settings.rolesClaim());
        Collection<?> words = claim instanceof Collection<?> several
                ? several
                : claim instanceof String text ? Arrays.asList(text.split(" ")) : List.of();
        String prefix = settings.rolePrefix() == null ? "" : settings.rolePrefix();
        return words.stream().filter(word -> word instanceof String text && text.startsWith(prefix))
                .flatMap(word -> Role.of(((String) word).substring(prefix.length())).stream()).max(Role::compareTo);
    }

    /** Without the claim only an administrator sees every project: a token that was to have one and lost it must not see more than before. */
    private String project(Jwt token, Role role) {
        if (!TrustedKeys.given(settings.projectClaim())) {
            return null;
        }
        Object project = claim(token, settings.projectClaim());
        if (project == null && role == Role.ADMIN) {
            return null;
        }
        if (!(project instanceof String text) || !PROJECT.matcher(text).matches()) {
            throw RefusedTokenException.powerless("the token names no project (expected: the claim " + settings.projectClaim()
                    + " with 1 to 63 of a-z, 0-9 and -, not beginning with -)");
        }
        return text;
    }

    /** {@code realm_access.roles} lies in an object; a claim with a dot in its own name comes first. */
    private static Object claim(Jwt token, String path) {
        Object value = token.getClaims().get(path);
        if (value == null) {
            value = token.getClaims();
            for (String name : path.split("\\.")) {
                value = value instanceof Map<?, ?> object ? object.get(name) : null;
            }
        }
        return value;
    }
}

package io.espalier.telemetry;

import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.stereotype.Component;

/**
 * Masks what nobody may read in a text that others will: the values of settings and environment variables whose names speak of secrets, and whatever
 * looks like one.
 */
@Component
public final class Redaction {

    public static final String MASK = "***";

    private static final Pattern SPEAKS_OF_ONE = Pattern
            .compile("(?i).*(password|passwd|secret|token$|api[-_.]?key|access[-_.]?key|private[-_.]?key|credential|authorization).*");
    /** A shorter one cannot be told from a word. */
    private static final int SHORTEST = 6;

    private static final String NAMES = "(?:password|passwd|secret|token|api[-_]?key|access[-_]?key(?:[-_]id)?|private[-_]?key|credentials?"
            + "|authorization|x-amz-signature|x-amz-credential)";
    /** What to mask; the first group stays. */
    private static final List<Pattern> SHAPES = List.of(
            Pattern.compile("(?i)(" + NAMES + "[\"']?\\s*[=:]\\s*[\"']?)(?:(?:bearer|basic)\\s+)?[^\\s\"',;&)}]+"),
            Pattern.compile("(://[^/\\s:@]*:)[^@\\s/]+(?=@)"),
            Pattern.compile("(?i)(\\b(?:bearer|basic)\\s+)[a-z0-9._~+/=-]{8,}"),
            Pattern.compile("()\\b(?:esp_|hf_|whsec_|sk-|ghp_|AKIA|ASIA)[A-Za-z0-9+/=_-]{8,}"),
            Pattern.compile("()\\beyJ[\\w-]+\\.[\\w-]+\\.[\\w-]+"),
            Pattern.compile("(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|$)"));

    private final Pattern known;

    Redaction(ConfigurableEnvironment environment) {
        Set<String> values = new LinkedHashSet<>();
        environment.getPropertySources().stream().filter(EnumerablePropertySource.class::isInstance)
                .map(source -> (EnumerablePropertySource<?>) source)
                .forEach(source -> List.of(source.getPropertyNames()).stream().filter(Redaction::names)
                        .map(source::getProperty).filter(value -> value != null && value.toString().length() >= SHORTEST)
                        .forEach(value -> values.add(value.toString())));
        this.known = values.isEmpty()
                ? null
                : Pattern.compile("(?<![A-Za-z0-9])(?:" + String.join("|",
                        values.stream().sorted(Comparator.comparing(String::length).reversed()).map(Pattern::quote).toList())
                        + ")(?![A-Za-z0-9])");
    }

    /** Whether a setting of this name holds a secret. */
    public static boolean names(String setting) {
        return SPEAKS_OF_ONE.matcher(setting).matches();
    }

    /** The text without secrets. */
    public String masked(String text) {
        String masked = known == null ? text : known.matcher(text).replaceAll(MASK);
        for (Pattern shape : SHAPES) {
            masked = shape.matcher(masked).replaceAll(found -> Matcher.quoteReplacement(found.group(1) + MASK));
        }
        return masked;
    }
}

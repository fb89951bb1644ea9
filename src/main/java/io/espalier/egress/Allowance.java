package io.espalier.egress;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.net.InetAddress;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import jakarta.validation.Constraint;
import jakarta.validation.ConstraintValidator;
import jakarta.validation.ConstraintValidatorContext;
import jakarta.validation.Payload;

/**
 * One line of {@code espalier.egress.allow}.
 *
 * @param network addresses; {@code null} when a host is named
 * @param host a name in lower case; {@code null} when a network is named
 * @param port the only one; 0: every port
 */
record Allowance(Network network, String host, int port) {

    private static final Pattern PORT = Pattern.compile("(.*[^:]):(\\d{1,5})");

    /** @throws IllegalArgumentException when it is neither a network nor a host */
    static Allowance of(String text) {
        Matcher ported = PORT.matcher(text);
        boolean named = (text.startsWith("[") || text.indexOf(':') == text.lastIndexOf(':')) && ported.matches();
        String rest = (named ? ported.group(1) : text).replaceFirst("^\\[(.*)]", "$1");
        int port = named ? Integer.parseInt(ported.group(2)) : 0;
        if (port > 65535 || named && port == 0) {
            throw new IllegalArgumentException("port " + port + " (expected: 1 to 65535)");
        }
        if (rest.contains(":") || rest.matches("[0-9.]+(/.*)?")) {
            return new Allowance(Network.of(rest), null, port);
        }
        if (!rest.matches("[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*")) {
            throw new IllegalArgumentException(text + " (expected: a network, an address or a host)");
        }
        return new Allowance(null, rest.toLowerCase(Locale.ROOT), port);
    }

    boolean coversPort(int other) {
        return port == 0 || port == other;
    }

    boolean covers(String otherHost) {
        return otherHost.equals(host);
    }

    boolean covers(InetAddress address) {
        return network != null && network.contains(address);
    }

    /** A text that is such a line. */
    @Target(ElementType.TYPE_USE)
    @Retention(RetentionPolicy.RUNTIME)
    @Constraint(validatedBy = Check.class)
    @interface Line {
        String message() default "networks, addresses and hosts, such as 10.0.0.0/8, [fd00::7]:9000 or minio.internal:9000";

        Class<?>[] groups() default {};

        Class<? extends Payload>[] payload() default {};
    }

    // why public: the validator makes it
    public static final class Check implements ConstraintValidator<Line, String> {
        @Override
        public boolean isValid(String text, ConstraintValidatorContext context) {
            try {
                return text != null && of(text) != null;
            } catch (IllegalArgumentException e) {
                return false;
            }
        }
    }
}

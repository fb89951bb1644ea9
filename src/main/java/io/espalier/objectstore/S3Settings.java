package io.espalier.objectstore;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.time.Duration;

import jakarta.validation.Constraint;
import jakarta.validation.ConstraintValidator;
import jakarta.validation.ConstraintValidatorContext;
import jakarta.validation.Payload;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;

import org.hibernate.validator.constraints.time.DurationMax;
import org.hibernate.validator.constraints.time.DurationMin;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.util.unit.DataSize;
import org.springframework.validation.annotation.Validated;

/**
 * The way to S3-compatible storage.
 *
 * @param endpoint where it is; empty: AWS, in the region
 * @param publicEndpoint where clients reach it, for the addresses that downloads are sent to; empty: at the endpoint
 * @param region that requests are signed for
 * @param pathStyle whether the bucket stands in the path and not in the host's name
 * @param accessKey empty: both keys come from where AWS's tools look for them
 * @param secretKey that belongs to it
 * @param bucket where artifacts go; it has to exist
 * @param prefix of all keys, without a slash at its ends; empty: none
 * @param partSize a longer file is uploaded in parts of this size
 * @param presignFor how long a signed address can be used
 * @param retryFor how long a request that fails for a reason that may pass is tried again
 * @param keepLeftovers how old objects and uploads that nobody refers to have to be before they are deleted
 */
@Validated
@ConfigurationProperties("espalier.s3")
public record S3Settings(
        @NotNull @Pattern(regexp = "|https?://[^/?#@\\s]+/?", message = "an address without a path, such as https://s3.example.org") String endpoint,
        @NotNull @Pattern(regexp = "|https?://[^/?#@\\s]+/?", message = "an address without a path, such as https://s3.example.org") String publicEndpoint,
        @NotNull @Pattern(regexp = "[a-z0-9-]+", message = "a region such as us-east-1") String region, boolean pathStyle,
        @NotNull String accessKey, @NotNull String secretKey,
        @NotNull @Pattern(regexp = "|[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", message = "the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens") String bucket,
        @NotNull @Pattern(regexp = "|[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", message = "parts of letters, digits and _.- with slashes between them") String prefix,
        @NotNull @PartSize DataSize partSize,
        @NotNull @DurationMin(seconds = 1, message = "from 1s to 7d") @DurationMax(days = 7, message = "from 1s to 7d") Duration presignFor,
        @NotNull @DurationMin(millis = 0) Duration retryFor, @NotNull @DurationMin(minutes = 1) Duration keepLeftovers) {

    private static final long MIB = 1 << 20;

    /** The key under which something is kept. */
    public String key(String name) {
        return prefix.isEmpty() ? name : prefix + "/" + name;
    }

    /** Without the keys. */
    @Override
    public String toString() {
        return "s3://" + bucket + "/" + prefix + (endpoint.isEmpty() ? "" : " at " + endpoint);
    }

    /** What S3 takes as one part of an upload. */
    @Documented
    @Target(ElementType.FIELD)
    @Retention(RetentionPolicy.RUNTIME)
    @Constraint(validatedBy = PartSize.Check.class)
    @interface PartSize {
        String message() default "from 5MB to 5GB";

        Class<?>[] groups() default {};

        Class<? extends Payload>[] payload() default {};

        /** Holds a size to it. */
        final class Check implements ConstraintValidator<PartSize, DataSize> {
            @Override
            public boolean isValid(DataSize size, ConstraintValidatorContext context) {
                return size == null || size.toBytes() >= 5 * MIB && size.toBytes() <= 5 * 1024 * MIB;
            }
        }
    }
}

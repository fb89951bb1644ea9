package io.espalier.artifact;

import java.io.IOException;
import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.interfaces.ECPrivateKey;
import java.security.spec.ECFieldFp;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import jakarta.validation.Constraint;
import jakarta.validation.ConstraintValidator;
import jakarta.validation.ConstraintValidatorContext;
import jakarta.validation.Payload;

/** An ECDSA P-256 private key, read from PEM (PKCS#8 or SEC1), and the public key that belongs to it. */
final class SigningKey {

    private static final Pattern PEM = Pattern.compile("-----BEGIN (EC PRIVATE KEY|PRIVATE KEY)-----([A-Za-z0-9+/=\\s]+)-----END \\1-----");
    /** DER: version 0, and id-ecPublicKey with secp256r1, as PKCS#8 puts them before the key that SEC1 leaves bare (RFC 5208, RFC 5480). */
    private static final byte[] P256 = HexFormat.of().parseHex("020100301306072a8648ce3d020106082a8648ce3d030107");

    private final ECPrivateKey key;
    private final PublicKey publicKey;

    private SigningKey(ECPrivateKey key) throws GeneralSecurityException {
        AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
        curve.init(new ECGenParameterSpec("secp256r1"));
        ECParameterSpec p256 = curve.getParameterSpec(ECParameterSpec.class);
        if (!key.getParams().getCurve().equals(p256.getCurve()) || !key.getParams().getGenerator().equals(p256.getGenerator())) {
            throw new GeneralSecurityException("another curve");
        }
        this.key = key;
        this.publicKey = KeyFactory.getInstance("EC").generatePublic(new ECPublicKeySpec(times(key.getS(), p256), p256));
    }

    /** @throws IllegalArgumentException when there is none; the message says what is wrong, and nothing of what the file holds */
    static SigningKey read(Path file) {
        String text;
        try {
            text = Files.readString(file, StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            throw new IllegalArgumentException("a file that this process can read", e);
        }
        Matcher pem = PEM.matcher(text);
        if (!pem.find()) {
            throw new IllegalArgumentException("a private key as PEM, not encrypted (BEGIN PRIVATE KEY or BEGIN EC PRIVATE KEY)");
        }
        try {
            byte[] der = Base64.getMimeDecoder().decode(pem.group(2));
            byte[] pkcs8 = pem.group(1).startsWith("EC") ? wrapped(der) : der;
            return new SigningKey((ECPrivateKey) KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(pkcs8)));
        } catch (GeneralSecurityException | RuntimeException e) {
            // why without the cause: it may quote the key
            throw new IllegalArgumentException("an ECDSA key on the curve P-256 (prime256v1)");
        }
    }

    /** SEC1 inside PKCS#8. */
    private static byte[] wrapped(byte[] sec1) {
        return der(0x30, concat(P256, der(0x04, sec1)));
    }

    private static byte[] der(int tag, byte[] content) {
        byte[] head = content.length < 128
                ? new byte[]{(byte) tag, (byte) content.length}
                : new byte[]{(byte) tag, (byte) 0x82, (byte) (content.length >> 8), (byte) content.length};
        return concat(head, content);
    }

    private static byte[] concat(byte[] first, byte[] second) {
        byte[] both = java.util.Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    /** The generator taken so many times: the public point. Done once, when the process starts; its time is nobody's to measure. */
    private static ECPoint times(BigInteger scalar, ECParameterSpec curve) {
        BigInteger p = ((ECFieldFp) curve.getCurve().getField()).getP();
        ECPoint sum = ECPoint.POINT_INFINITY;
        for (int bit = scalar.bitLength() - 1; bit >= 0; bit--) {
            sum = plus(sum, sum, p, curve.getCurve().getA());
            if (scalar.testBit(bit)) {
                sum = plus(sum, curve.getGenerator(), p, curve.getCurve().getA());
            }
        }
        return sum;
    }

    private static ECPoint plus(ECPoint one, ECPoint other, BigInteger p, BigInteger a) {
        if (one.equals(ECPoint.POINT_INFINITY)) {
            return other;
        }
        BigInteger x = one.getAffineX();
        BigInteger y = one.getAffineY();
        BigInteger slope = one.equals(other)
                ? x.pow(2).multiply(BigInteger.valueOf(3)).add(a).multiply(y.shiftLeft(1).modInverse(p))
                : other.getAffineY().subtract(y).multiply(other.getAffineX().subtract(x).modInverse(p));
        BigInteger sumX = slope.pow(2).subtract(x).subtract(other.getAffineX()).mod(p);
        return new ECPoint(sumX, slope.multiply(x.subtract(sumX)).subtract(y).mod(p));
    }

    /** ECDSA with SHA-256, as DER. */
    byte[] sign(byte[] message) {
        try {
            Signature signature = Signature.getInstance("SHA256withECDSA");
            signature.initSign(key);
            signature.update(message);
            return signature.sign();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("the key was good when it was read", e);
        }
    }

    /** The public key as PEM, lines of 64 characters, as OpenSSL writes it. */
    String publicPem() {
        return "-----BEGIN PUBLIC KEY-----\n" + Base64.getMimeEncoder(64, new byte[]{'\n'}).encodeToString(publicKey.getEncoded())
                + "\n-----END PUBLIC KEY-----\n";
    }

    /** By which a verifier knows the key: SHA-256 of {@link #publicPem()}, hexadecimal. */
    String hint() {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(publicPem().getBytes(StandardCharsets.US_ASCII)));
        } catch (GeneralSecurityException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }

    /** A name of a file with such a key, or nothing. */
    @Documented
    @Target(ElementType.FIELD)
    @Retention(RetentionPolicy.RUNTIME)
    @Constraint(validatedBy = Readable.Check.class)
    @interface Readable {
        String message() default "a file with a private key";

        Class<?>[] groups() default {};

        Class<? extends Payload>[] payload() default {};

        /** Reads it. */
        final class Check implements ConstraintValidator<Readable, String> {
            @Override
            public boolean isValid(String file, ConstraintValidatorContext context) {
                if (file == null || file.isBlank()) {
                    return true;
                }
                try {
                    read(Path.of(file));
                    return true;
                } catch (InvalidPathException e) {
                    return false;
                } catch (IllegalArgumentException e) {
                    context.disableDefaultConstraintViolation();
                    context.buildConstraintViolationWithTemplate(e.getMessage()).addConstraintViolation();
                    return false;
                }
            }
        }
    }
}

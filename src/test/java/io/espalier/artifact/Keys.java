package io.espalier.artifact;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.interfaces.ECPrivateKey;
import java.security.spec.ECGenParameterSpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;

/** Keys as other tools write them. */
public final class Keys {

    private Keys() {}

    public static KeyPair onCurve(String name) {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(new ECGenParameterSpec(name));
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new AssertionError(e);
        }
    }

    /** As {@code openssl genpkey} does. */
    public static String pkcs8(KeyPair pair) {
        return pem("PRIVATE KEY", pair.getPrivate().getEncoded());
    }

    /** As {@code openssl ecparam -name prime256v1 -genkey} does: parameters, then the key (RFC 5915). */
    static String sec1(KeyPair pair) {
        byte[] curve = HexFormat.of().parseHex("06082a8648ce3d030107");
        byte[] scalar = ((ECPrivateKey) pair.getPrivate()).getS().toByteArray();
        byte[] exactly = new byte[32];
        int from = Math.max(0, scalar.length - 32);
        System.arraycopy(scalar, from, exactly, 32 - (scalar.length - from), scalar.length - from);
        byte[] spki = pair.getPublic().getEncoded();
        byte[] point = Arrays.copyOfRange(spki, spki.length - 65, spki.length);
        byte[] key = der(0x30, new byte[]{2, 1, 1}, der(4, exactly), der(0xa0, curve), der(0xa1, der(3, new byte[]{0}, point)));
        return pem("EC PARAMETERS", curve) + pem("EC PRIVATE KEY", key);
    }

    public static String publicKey(KeyPair pair) {
        return pem("PUBLIC KEY", pair.getPublic().getEncoded());
    }

    /** A file with a key. */
    public static Path file(Path directory, String pem) {
        try {
            return Files.writeString(directory.resolve("key.pem"), pem);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] der(int tag, byte[]... contents) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        Arrays.stream(contents).forEach(all::writeBytes);
        ByteArrayOutputStream framed = new ByteArrayOutputStream();
        framed.write(tag);
        framed.write(all.size());
        framed.writeBytes(all.toByteArray());
        return framed.toByteArray();
    }

    private static String pem(String what, byte[] der) {
        return "-----BEGIN " + what + "-----\n" + Base64.getMimeEncoder(64, new byte[]{'\n'}).encodeToString(der) + "\n-----END " + what
                + "-----\n";
    }
}

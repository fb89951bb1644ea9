package io.espalier.webhook;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;

import org.springframework.stereotype.Component;

/**
 * Where secrets are. Signing needs a secret itself, so it cannot be stored as a digest. Either it is in a file that a webhook names, or in the
 * webhook's row, encrypted (AES-256-GCM, bound to the webhook's id) with a key that is in a file and never in the database.
 */
@Component
final class WebhookSecrets {

    private static final int KEY_BYTES = 32;
    private static final int NONCE_BYTES = 12;
    private static final int TAG_BITS = 128;
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}");

    private final Path keyFile;
    private final Path named;
    private final SecureRandom random = new SecureRandom();

    WebhookSecrets(WebhookSettings settings) {
        this.keyFile = settings.keyFile().toAbsolutePath().normalize();
        this.named = settings.secrets().isBlank() ? null : Path.of(settings.secrets()).toAbsolutePath().normalize();
    }

    /**
     * @param key which key opens it
     * @param bytes nonce and ciphertext
     */
    record Sealed(String key, byte[] bytes) {}

    /**
     * Encrypts with the first key; where there is no key yet, one is made.
     *
     * @throws KeyFileException when the file of keys is broken, or cannot be read or made
     */
    Sealed seal(String secret, String webhookId) {
        Map<String, byte[]> keys = keys();
        if (keys.isEmpty()) {
            makeKey();
            keys = keys();
        }
        Map.Entry<String, byte[]> first = keys.entrySet().iterator().next();
        byte[] nonce = new byte[NONCE_BYTES];
        random.nextBytes(nonce);
        byte[] sealed = crypt(Cipher.ENCRYPT_MODE, first.getValue(), nonce, webhookId, secret.getBytes(StandardCharsets.UTF_8), 0);
        byte[] whole = new byte[NONCE_BYTES + sealed.length];
        System.arraycopy(nonce, 0, whole, 0, NONCE_BYTES);
        System.arraycopy(sealed, 0, whole, NONCE_BYTES, sealed.length);
        return new Sealed(first.getKey(), whole);
    }

    /** @throws IllegalStateException when the key is not here, or what was stored is not what was encrypted */
    String open(Sealed sealed, String webhookId) {
        byte[] key = keys().get(sealed.key());
        if (key == null) {
            throw new IllegalStateException("the key " + sealed.key() + " is not in espalier.webhooks.key-file");
        }
        return new String(crypt(Cipher.DECRYPT_MODE, key, sealed.bytes(), webhookId, sealed.bytes(), NONCE_BYTES), StandardCharsets.UTF_8);
    }

    private static byte[] crypt(int mode, byte[] key, byte[] nonce, String webhookId, byte[] text, int from) {
        try {
            Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
            cipher.init(mode, new SecretKeySpec(key, "AES"), new GCMParameterSpec(TAG_BITS, nonce, 0, NONCE_BYTES));
            cipher.updateAAD(webhookId.getBytes(StandardCharsets.UTF_8));
            return cipher.doFinal(text, from, text.length - from);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("the secret of " + webhookId + " cannot be read; rotate it", e);
        }
    }

    /** Names of the keys that are here. */
    Set<String> known() {
        return keys().keySet();
    }

    // why read anew each time: another process on this directory may have made it, or an operator added one
    private Map<String, byte[]> keys() {
        Map<String, byte[]> keys = new LinkedHashMap<>();
        if (Files.exists(keyFile)) {
            for (String line : keyLines()) {
                byte[] key = decoded(line);
                if (key.length != KEY_BYTES) {
                    throw new KeyFileException("espalier.webhooks.key-file, " + keyFile + ": a line that is no key (expected: "
                            + KEY_BYTES + " bytes in Base64, as openssl rand -base64 32 makes them)");
                }
                keys.put(name(key), key);
            }
        }
        return keys;
    }

    private List<String> keyLines() {
        try {
            return lines(keyFile);
        } catch (IllegalStateException e) {
            throw new KeyFileException("espalier.webhooks.key-file, " + keyFile + ": cannot be read (" + e.getCause() + ")", e);
        }
    }

    private static byte[] decoded(String line) {
        try {
            return Base64.getDecoder().decode(line);
        } catch (IllegalArgumentException e) {
            return new byte[0];
        }
    }

    /** What a key is called in the database, which says nothing about it. */
    private static String name(byte[] key) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            digest.update("espalier webhook key".getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest.digest(key), 0, 8);
        } catch (GeneralSecurityException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }

    private void makeKey() {
        byte[] key = new byte[KEY_BYTES];
        random.nextBytes(key);
        try {
            Files.createDirectories(keyFile.getParent());
            Path whole = Files.createTempFile(keyFile.getParent(), "webhooks", ".key",
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            try {
                Files.writeString(whole, Base64.getEncoder().encodeToString(key) + "\n");
                // why a link: of two processes that make one at once, one does, and nobody reads half of it
                Files.createLink(keyFile, whole);
            } catch (FileAlreadyExistsException e) {
                // why nothing: then that one is used
            } finally {
                Files.delete(whole);
            }
        } catch (IOException e) {
            throw new KeyFileException("espalier.webhooks.key-file, " + keyFile + ": cannot be made (" + e + ")", e);
        }
    }

    /** Whether a webhook of this project may name this secret: it is there, and is one. */
    boolean isThere(String project, String name) {
        try {
            return !named(project, name).isEmpty();
        } catch (IllegalStateException e) {
            return false;
        }
    }

    /**
     * The secrets in a file that a webhook names; more than one while it is rotated.
     *
     * @throws IllegalStateException when there is none
     */
    List<String> named(String project, String name) {
        Path file = named == null || !NAME.matcher(name).matches() ? null : named.resolve(project).resolve(name);
        List<String> secrets = file == null || !Files.isRegularFile(file) ? List.of() : lines(file);
        if (secrets.isEmpty() || !secrets.stream().allMatch(Signature::isSecret)) {
            throw new IllegalStateException("the secret " + name
                    + " is not there (expected: a file of this name with lines whsec_..., in the project's directory of "
                    + "espalier.webhooks.secrets)");
        }
        return secrets;
    }

    private static List<String> lines(Path file) {
        try {
            return Files.readAllLines(file).stream().map(String::strip).filter(line -> !line.isEmpty()).toList();
        } catch (IOException e) {
            throw new IllegalStateException(file.getFileName() + " cannot be read", e);
        }
    }
}

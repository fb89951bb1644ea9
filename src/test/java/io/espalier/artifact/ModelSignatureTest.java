package io.espalier.artifact;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Signatures, checked by a verifier that was written from the specifications and shares no line with the signer. */
class ModelSignatureTest {

    private static final KeyPair PAIR = Keys.onCurve("secp256r1");

    @TempDir
    private Path directory;

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aSignatureIsWhatAVerifierOfModelSigningExpects(boolean pkcs8) throws Exception {
        SigningKey key = SigningKey.read(Keys.file(directory, pkcs8 ? Keys.pkcs8(PAIR) : Keys.sec1(PAIR)));
        assertThat(key.publicPem()).isEqualTo(Keys.publicKey(PAIR));
        Path model = model();
        assertThat(verified(ModelSignature.of("art_1", listed(model), key), PAIR.getPublic())).isEqualTo(sums(model));
    }

    @Test
    void theBundleHasTheFieldsAndWordsOfTheFormatAndNoOthers() throws Exception {
        SigningKey key = SigningKey.read(Keys.file(directory, Keys.pkcs8(PAIR)));
        JsonNode bundle = JsonMapper.shared().readTree(ModelSignature.of("art_1", listed(model()), key));
        assertThat(bundle.propertyNames()).containsExactly("mediaType", "verificationMaterial", "dsseEnvelope");
        assertThat(bundle.path("verificationMaterial").toString()).isEqualTo("{\"publicKey\":{\"hint\":\""
                + hex(MessageDigest.getInstance("SHA-256").digest(Keys.publicKey(PAIR).getBytes(StandardCharsets.US_ASCII)))
                + "\"},\"tlogEntries\":[]}");
        JsonNode statement = JsonMapper.shared()
                .readTree(Base64.getDecoder().decode(bundle.at("/dsseEnvelope/payload").stringValue()));
        assertThat(statement.propertyNames()).containsExactly("_type", "subject", "predicateType", "predicate");
        assertThat(statement.at("/predicate/serialization").toString()).isEqualTo("{\"method\":\"files\",\"hash_type\":\"sha256\","
                + "\"allow_symlinks\":false,\"ignore_paths\":[\"model.sig\",\".git\",\".gitattributes\",\".github\",\".gitignore\"]}");
        assertThat(statement.at("/predicate/resources")).extracting(resource -> resource.path("name").stringValue())
                .as("as paths are ordered").containsExactly("README.md", "sub/a", "sub.txt", "weights.bin");
    }

    @Test
    void aChangedFileAForeignKeyAndAChangedListAreNotVerified() throws Exception {
        byte[] signature = ModelSignature.of("art_1", listed(model()), SigningKey.read(Keys.file(directory, Keys.pkcs8(PAIR))));
        assertThatThrownBy(() -> verified(signature, Keys.onCurve("secp256r1").getPublic())).isInstanceOf(AssertionError.class);
        Path model = directory.resolve("model");
        Files.writeString(model.resolve("weights.bin"), "other weights");
        assertThat(verified(signature, PAIR.getPublic())).isNotEqualTo(sums(model));
        String text = new String(signature, StandardCharsets.UTF_8);
        String payload = JsonMapper.shared().readTree(text).at("/dsseEnvelope/payload").stringValue();
        String forged = Base64.getEncoder().encodeToString(
                new String(Base64.getDecoder().decode(payload), StandardCharsets.UTF_8).replace("sub.txt", "sub.exe").getBytes());
        assertThatThrownBy(() -> verified(text.replace(payload, forged).getBytes(), PAIR.getPublic())).isInstanceOf(AssertionError.class);
    }

    @Test
    void theScriptOfTheReadmeSaysTheSameWithOpensslAndSha256sum() throws Exception {
        Assumptions.assumeTrue(run("openssl", "version").startsWith("0"), "no openssl here");
        Path model = model();
        Files.write(model.resolve("model.sig"),
                ModelSignature.of("art_1", listed(model), SigningKey.read(Keys.file(directory, Keys.pkcs8(PAIR)))));
        Path publicKey = Files.writeString(directory.resolve("public.pem"), Keys.publicKey(PAIR));
        Path foreign = Files.writeString(directory.resolve("foreign.pem"), Keys.publicKey(Keys.onCurve("secp256r1")));

        assertThat(verify(publicKey, model)).startsWith("0").contains("weights.bin: OK").contains("sub/a: OK").contains("4 files");
        assertThat(verify(foreign, model)).startsWith("1").contains("Not signed");
        Files.writeString(model.resolve("added.bin"), "added");
        assertThat(verify(publicKey, model)).startsWith("1").contains("added.bin");
        Files.delete(model.resolve("added.bin"));
        Files.writeString(model.resolve("weights.bin"), "other weights");
        assertThat(verify(publicKey, model)).startsWith("1").contains("weights.bin: FAILED");
        Files.delete(model.resolve("weights.bin"));
        assertThat(verify(publicKey, model)).startsWith("1");
    }

    @Test
    void whatIsNoKeyIsRefusedInWordsThatHoldNothingOfIt() throws Exception {
        assertThatThrownBy(() -> SigningKey.read(directory.resolve("none"))).hasMessageContaining("a file that this process can read");
        assertThatThrownBy(() -> SigningKey.read(Keys.file(directory, "secret words"))).hasMessageContaining("as PEM")
                .hasMessageNotContaining("secret");
        assertThatThrownBy(() -> SigningKey.read(Keys.file(directory, Keys.publicKey(PAIR)))).hasMessageContaining("as PEM");
        String other = Keys.pkcs8(Keys.onCurve("secp384r1"));
        assertThatThrownBy(() -> SigningKey.read(Keys.file(directory, other))).hasMessageContaining("P-256").hasNoCause();
        assertThatThrownBy(() -> SigningKey.read(Keys.file(directory, Keys.pkcs8(PAIR).replaceFirst("M", "N"))))
                .hasMessageContaining("P-256").hasNoCause();
    }

    /** From the specifications of the bundle, DSSE, in-toto and model signing: the files that a good signature speaks of, with their digests. */
    private static Map<String, String> verified(byte[] signature, PublicKey key) throws Exception {
        JsonNode bundle = JsonMapper.shared().readTree(signature);
        assertThat(bundle.path("mediaType").stringValue()).isEqualTo("application/vnd.dev.sigstore.bundle.v0.3+json");
        JsonNode envelope = bundle.path("dsseEnvelope");
        String type = envelope.path("payloadType").stringValue();
        assertThat(type).isEqualTo("application/vnd.in-toto+json");
        String payload = new String(Base64.getDecoder().decode(envelope.path("payload").stringValue()), StandardCharsets.UTF_8);
        Signature ecdsa = Signature.getInstance("SHA256withECDSA");
        ecdsa.initVerify(key);
        ecdsa.update(String.join(" ", "DSSEv1", "28", type, String.valueOf(payload.getBytes(StandardCharsets.UTF_8).length), payload)
                .getBytes(StandardCharsets.UTF_8));
        assertThat(ecdsa.verify(Base64.getDecoder().decode(envelope.at("/signatures/0/sig").stringValue()))).isTrue();
        JsonNode statement = JsonMapper.shared().readTree(payload);
        assertThat(statement.path("_type").stringValue()).isEqualTo("https://in-toto.io/Statement/v1");
        assertThat(statement.path("predicateType").stringValue()).isEqualTo("https://model_signing/signature/v1.0");
        assertThat(statement.path("subject")).hasSize(1);
        Map<String, String> files = new TreeMap<>();
        StringBuilder digests = new StringBuilder();
        statement.at("/predicate/resources").forEach(resource -> {
            assertThat(resource.path("algorithm").stringValue()).isEqualTo("sha256");
            files.put(resource.path("name").stringValue(), resource.path("digest").stringValue());
            digests.append(resource.path("digest").stringValue());
        });
        assertThat(statement.at("/subject/0/digest/sha256").stringValue())
                .isEqualTo(hex(MessageDigest.getInstance("SHA-256").digest(HexFormat.of().parseHex(digests))));
        return files;
    }

    private Path model() throws Exception {
        Path model = Files.createDirectories(directory.resolve("model"));
        Files.createDirectories(model.resolve("sub"));
        Files.writeString(model.resolve("weights.bin"), "weights");
        Files.writeString(model.resolve("sub/a"), "a");
        Files.writeString(model.resolve("sub.txt"), "text");
        Files.writeString(model.resolve("README.md"), "# Über\n");
        return model;
    }

    private static List<ArtifactFile> listed(Path model) throws Exception {
        return sums(model).entrySet().stream().map(file -> new ArtifactFile(file.getKey(), 1, file.getValue())).toList();
    }

    private static Map<String, String> sums(Path model) throws Exception {
        Map<String, String> sums = new TreeMap<>();
        try (var files = Files.walk(model)) {
            for (Path file : files.filter(Files::isRegularFile).filter(file -> !file.endsWith("model.sig")).toList()) {
                sums.put(model.relativize(file).toString(), hex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file))));
            }
        }
        return sums;
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    private static String verify(Path publicKey, Path model) throws Exception {
        return run("bash", Path.of("src/docs/examples/verify-artifact.sh").toAbsolutePath().toString(), publicKey.toString(),
                model.toString());
    }

    /** Exit status and everything it said. */
    private static String run(String... command) throws Exception {
        Path said = Files.createTempFile("said", ".txt");
        try {
            Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(said.toFile()).start();
            assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
            return process.exitValue() + " " + Files.readString(said);
        } catch (java.io.IOException e) {
            return "none " + e.getMessage();
        } finally {
            Files.delete(said);
        }
    }
}

package io.espalier.artifact;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Base64;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;

import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The signature over all files of a model, in the format of OpenSSF Model Signing v1.0 with a key: a Sigstore bundle (v0.3) that holds a DSSE envelope
 * (v1.0), which holds an in-toto statement (v1), which lists every file with its SHA-256. {@code model_signing verify key} reads it.
 */
final class ModelSignature {

    /** What the file is called beside those it speaks of; the statement says that it is none of them. */
    static final String FILE = "model.sig";

    private static final String BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
    private static final String PAYLOAD = "application/vnd.in-toto+json";
    private static final String STATEMENT = "https://in-toto.io/Statement/v1";
    private static final String PREDICATE = "https://model_signing/signature/v1.0";
    private static final List<String> IGNORED = List.of(FILE, ".git", ".gitattributes", ".github", ".gitignore");

    private ModelSignature() {}

    /**
     * @param name of the model, for people
     * @param files all of them
     * @return the content of {@link #FILE}
     */
    static byte[] of(String name, List<ArtifactFile> files, SigningKey key) {
        byte[] payload = statement(name, files).toString().getBytes(StandardCharsets.UTF_8);
        ObjectNode bundle = JsonMapper.shared().createObjectNode();
        bundle.put("mediaType", BUNDLE);
        ObjectNode material = bundle.putObject("verificationMaterial");
        material.putObject("publicKey").put("hint", key.hint());
        material.putArray("tlogEntries");
        ObjectNode envelope = bundle.putObject("dsseEnvelope");
        envelope.put("payload", Base64.getEncoder().encodeToString(payload));
        envelope.put("payloadType", PAYLOAD);
        envelope.putArray("signatures").addObject().put("sig", Base64.getEncoder().encodeToString(key.sign(pae(payload)))).put("keyid", "");
        return bundle.toString().getBytes(StandardCharsets.UTF_8);
    }

    /** What is signed: type and payload with their lengths (DSSE, pre-authentication encoding). */
    private static byte[] pae(byte[] payload) {
        byte[] head = ("DSSEv1 " + PAYLOAD.length() + " " + PAYLOAD + " " + payload.length + " ").getBytes(StandardCharsets.UTF_8);
        byte[] both = Arrays.copyOf(head, head.length + payload.length);
        System.arraycopy(payload, 0, both, head.length, payload.length);
        return both;
    }

    private static ObjectNode statement(String name, List<ArtifactFile> files) {
        List<ArtifactFile> resources = files.stream().filter(file -> !IGNORED.contains(file.name()))
                .sorted(Comparator.comparing(ArtifactFile::name, ModelSignature::byParts)).toList();
        ObjectNode statement = JsonMapper.shared().createObjectNode();
        statement.put("_type", STATEMENT);
        ObjectNode subject = statement.putArray("subject").addObject();
        subject.put("name", name);
        subject.putObject("digest").put("sha256", root(resources));
        statement.put("predicateType", PREDICATE);
        ObjectNode predicate = statement.putObject("predicate");
        ObjectNode serialization = predicate.putObject("serialization");
        serialization.put("method", "files");
        serialization.put("hash_type", "sha256");
        serialization.put("allow_symlinks", false);
        IGNORED.forEach(serialization.putArray("ignore_paths")::add);
        ArrayNode listed = predicate.putArray("resources");
        resources.forEach(file -> listed.addObject().put("name", file.name()).put("algorithm", "sha256").put("digest", file.sha256()));
        return statement;
    }

    /** The digest of the whole: over the digests of all, one after the other. */
    private static String root(List<ArtifactFile> resources) {
        try {
            MessageDigest sum = MessageDigest.getInstance("SHA-256");
            resources.forEach(file -> sum.update(HexFormat.of().parseHex(file.sha256())));
            return HexFormat.of().formatHex(sum.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java has SHA-256", e);
        }
    }

    /** As paths are ordered, part by part, not as texts. */
    private static int byParts(String one, String other) {
        return Arrays.compare(one.split("/"), other.split("/"));
    }
}

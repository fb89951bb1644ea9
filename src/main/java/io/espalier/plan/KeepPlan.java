package io.espalier.plan;

import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Which atoms of which routed expert stay. Immutable, independent of the criterion; everything after it (cut, card, mask) uses only this.
 *
 * <p>As JSON: {@code {"experts":[{"layer":0,"expert":0,"width":96,"kept":[0,2,5]}]}}, one form for one plan. An expert that goes whole, its row of the
 * router too, says {@code "removed":true}; one that merely keeps no atom is still routed to.
 */
public final class KeepPlan {

    private static final JsonMapper JSON = JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES, DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES).build();

    /**
     * What stays of one expert.
     *
     * @param layer index of the decoder layer
     * @param expert index within the layer
     * @param width atoms before
     * @param kept indices of the atoms that stay, ascending; empty when none does
     * @param removed whether the expert itself goes: the router no longer knows it, and those after it move up
     */
    public record Expert(int layer, int expert, int width, int[] kept, boolean removed) {

        /** An expert that the router goes on choosing. */
        public Expert(int layer, int expert, int width, int[] kept) {
            this(layer, expert, width, kept, false);
        }

        /** An expert that goes whole. */
        static Expert removed(int layer, int expert, int width) {
            return new Expert(layer, expert, width, new int[0], true);
        }

        /** @throws IllegalArgumentException when an index is not in [0, width) or not above the one before it, or a removed expert keeps one */
        public Expert {
            if (removed && kept.length > 0) {
                throw new IllegalArgumentException("layer " + layer + ", expert " + expert + ": removed, and kept " + kept.length
                        + " atoms (expected: none)");
            }
            kept = kept.clone();
            for (int i = 0; i < kept.length; i++) {
                if (kept[i] < (i == 0 ? 0 : kept[i - 1] + 1) || kept[i] >= width) {
                    throw new IllegalArgumentException("layer " + layer + ", expert " + expert + ": kept[" + i + "] is " + kept[i]
                            + " (expected: ascending indices below the width " + width + ")");
                }
            }
        }

        /** A copy of the indices. */
        @Override
        public int[] kept() {
            return kept.clone();
        }

        /** Atoms after. */
        public int keptWidth() {
            return kept.length;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Expert that && layer == that.layer && expert == that.expert && width == that.width
                    && removed == that.removed && Arrays.equals(kept, that.kept);
        }

        @Override
        public int hashCode() {
            return 31 * (31 * layer + expert) + Arrays.hashCode(kept);
        }
    }

    private record Form(List<Expert> experts) {}

    private final List<Expert> experts;

    private KeepPlan(List<Expert> experts) {
        this.experts = List.copyOf(experts);
    }

    /**
     * @param experts every routed expert of the model, in order of (layer, expert)
     * @throws IllegalArgumentException when the order is another, or an expert comes twice
     */
    public static KeepPlan of(List<Expert> experts) {
        for (int i = 1; i < experts.size(); i++) {
            Expert before = experts.get(i - 1);
            Expert here = experts.get(i);
            if (here.layer < before.layer || here.layer == before.layer && here.expert <= before.expert) {
                throw new IllegalArgumentException("layer " + here.layer + ", expert " + here.expert + " after layer " + before.layer
                        + ", expert " + before.expert + " (expected: ascending by layer, then expert)");
            }
        }
        return new KeepPlan(experts);
    }

    /** In order of (layer, expert). */
    public List<Expert> experts() {
        return experts;
    }

    /** Atoms before. */
    public long atoms() {
        return experts.stream().mapToLong(Expert::width).sum();
    }

    /** Atoms after. */
    public long keptAtoms() {
        return experts.stream().mapToLong(Expert::keptWidth).sum();
    }

    public long removedAtoms() {
        return atoms() - keptAtoms();
    }

    /** Experts that the router still knows, in order. */
    public List<Expert> remaining() {
        return experts.stream().filter(expert -> !expert.removed).toList();
    }

    /** By MoE layer, the widths of the experts that stay, in order. */
    public SequencedMap<Integer, int[]> remainingWidths() {
        SequencedMap<Integer, int[]> widths = new LinkedHashMap<>();
        remaining().stream().mapToInt(Expert::layer).distinct().forEach(layer -> widths.put(layer,
                remaining().stream().filter(expert -> expert.layer == layer).mapToInt(Expert::keptWidth).toArray()));
        return widths;
    }

    /** Experts that go whole. */
    public int removedExperts() {
        return experts.size() - remaining().size();
    }

    /** Narrowest expert after, atoms. */
    public int minWidth() {
        return remaining().stream().mapToInt(Expert::keptWidth).min().orElse(0);
    }

    /** Widest expert after, atoms. */
    public int maxWidth() {
        return experts.stream().mapToInt(Expert::keptWidth).max().orElse(0);
    }

    /** Experts without an atom after that the router still knows. */
    public int emptyExperts() {
        return (int) remaining().stream().filter(expert -> expert.keptWidth() == 0).count();
    }

    /**
     * SHA-256, hexadecimal, over {@code keep-plan/1} and, for every expert, layer, expert, width, count (-1 for a removed one) and indices, each an i32,
     * little-endian.
     */
    public String digest() {
        try {
            MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
            sha256.update("keep-plan/1".getBytes(StandardCharsets.US_ASCII));
            for (Expert expert : experts) {
                ByteBuffer numbers = ByteBuffer.allocate(Integer.BYTES * (4 + expert.kept.length)).order(ByteOrder.LITTLE_ENDIAN);
                numbers.putInt(expert.layer).putInt(expert.expert).putInt(expert.width).putInt(expert.removed ? -1 : expert.kept.length);
                numbers.asIntBuffer().put(expert.kept);
                sha256.update(numbers.rewind());
            }
            return HexFormat.of().formatHex(sha256.digest());
        } catch (NoSuchAlgorithmException everyJdkHasIt) {
            throw new IllegalStateException(everyJdkHasIt);
        }
    }

    /** The same text for the same plan, on one line. */
    public String toJson() {
        StringWriter text = new StringWriter();
        try (JsonGenerator json = JSON.createGenerator(text)) {
            json.writeStartObject();
            json.writeArrayPropertyStart("experts");
            for (Expert expert : experts) {
                json.writeStartObject();
                json.writeNumberProperty("layer", expert.layer);
                json.writeNumberProperty("expert", expert.expert);
                json.writeNumberProperty("width", expert.width);
                json.writeName("kept");
                json.writeArray(expert.kept, 0, expert.kept.length);
                if (expert.removed) {
                    json.writeBooleanProperty("removed", true);
                }
                json.writeEndObject();
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        return text.toString();
    }

    /** @throws IllegalArgumentException when the text is no plan */
    public static KeepPlan fromJson(String json) {
        try {
            JsonNode form = JSON.readTree(json);
            form.path("experts").forEach(expert -> {
                if (expert instanceof ObjectNode object) {
                    object.putIfAbsent("removed", JSON.getNodeFactory().booleanNode(false));
                }
            });
            Form plan = JSON.treeToValue(form, Form.class);
            if (plan == null || plan.experts() == null) {
                throw new IllegalArgumentException("keep-plan: no experts (expected: a list of them)");
            }
            return of(plan.experts());
        } catch (JacksonException broken) {
            throw new IllegalArgumentException(
                    "keep-plan: " + broken.getOriginalMessage() + " (expected: experts with layer, expert, width, kept)",
                    broken);
        }
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof KeepPlan that && experts.equals(that.experts);
    }

    @Override
    public int hashCode() {
        return experts.hashCode();
    }

    @Override
    public String toString() {
        return "keeps " + keptAtoms() + " of " + atoms() + " atoms in " + experts.size() + " experts";
    }
}

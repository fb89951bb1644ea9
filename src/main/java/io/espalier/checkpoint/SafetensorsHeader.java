package io.espalier.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

import io.espalier.checkpoint.MalformedCheckpointException.Fault;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a safetensors file says about itself, checked in byte order before anything is believed.
 *
 * <pre>
 * [ header length N: u64 ][ header: N bytes of JSON, space-padded ][ tensor bytes ... ]
 * {"__metadata__": {...}, "name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [begin, end]}}   offsets from the end of the header
 * </pre>
 *
 * @param tensors by name, in the order of their bytes; they fill the file behind the header without overlap, hole or rest
 * @param metadata the free strings of {@code __metadata__}; empty when there are none
 */
record SafetensorsHeader(SequencedMap<String, Tensor> tensors, SequencedMap<String, String> metadata) {

    /** The reference implementation's limit, in bytes. */
    static final long MAX_HEADER = 100_000_000;

    static final String METADATA = "__metadata__";

    private static final JsonMapper JSON = JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
            .disable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

    private static final ValueLayout.OfLong U64 = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Reads the header of {@code file}, which is mapped whole. */
    static SafetensorsHeader read(Path file, MemorySegment bytes) {
        long length = headerLength(file, bytes);
        String text = text(file, bytes.asSlice(8, length));
        SequencedMap<String, JsonNode> entries = entries(file, text);
        SequencedMap<String, String> metadata = metadata(file, entries.remove(METADATA));
        List<Tensor> tensors = new ArrayList<>(entries.size());
        entries.forEach((name, entry) -> tensors.add(tensor(file, name, entry, 8 + length, bytes.byteSize())));
        return new SafetensorsHeader(laidOut(file, tensors, 8 + length, bytes.byteSize()), metadata);
    }

    private static long headerLength(Path file, MemorySegment bytes) {
        if (bytes.byteSize() < 8) {
            throw MalformedCheckpointException.of(Fault.FILE_TOO_SHORT, file, "file length", bytes.byteSize(),
                    "at least the 8 bytes of the header length");
        }
        long length = bytes.get(U64, 0);
        if (length == 0) {
            throw MalformedCheckpointException.of(Fault.HEADER_EMPTY, file, "header length", 0, "at least 2");
        }
        if (Long.compareUnsigned(length, MAX_HEADER) > 0) {
            throw MalformedCheckpointException.of(Fault.HEADER_TOO_LONG, file, "header length", Long.toUnsignedString(length),
                    "at most " + MAX_HEADER);
        }
        if (length > bytes.byteSize() - 8) {
            throw MalformedCheckpointException.of(Fault.HEADER_BEYOND_FILE, file, "header length", length,
                    "at most the " + (bytes.byteSize() - 8) + " bytes that follow it");
        }
        return length;
    }

    private static String text(Path file, MemorySegment header) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(header.asByteBuffer()).toString();
        } catch (CharacterCodingException broken) {
            throw MalformedCheckpointException.of(Fault.HEADER_NOT_UTF8, file, "header", broken.getMessage(), "UTF-8");
        }
    }

    private static SequencedMap<String, JsonNode> entries(Path file, String text) {
        if (!text.startsWith("{")) {
            throw notAnObject(file, "begins with '" + text.substring(0, 1) + "'");
        }
        SequencedMap<String, JsonNode> entries = new LinkedHashMap<>();
        try (JsonParser parser = JSON.createParser(text)) {
            parser.nextToken();
            for (String name = parser.nextName(); name != null; name = parser.nextName()) {
                parser.nextToken();
                if (entries.put(name, JSON.readTree(parser)) != null) {
                    throw MalformedCheckpointException.of(Fault.DUPLICATE_TENSOR, file, "tensor '" + name + "'", "named twice", "once");
                }
            }
            if (parser.currentToken() != JsonToken.END_OBJECT || parser.nextToken() != null) {
                throw notAnObject(file, "goes on behind the object");
            }
            return entries;
        } catch (JacksonException broken) {
            throw notAnObject(file, broken.getOriginalMessage());
        }
    }

    private static MalformedCheckpointException notAnObject(Path file, String given) {
        return MalformedCheckpointException.of(Fault.HEADER_NOT_AN_OBJECT, file, "header", given, "one JSON object, padded with spaces");
    }

    private static SequencedMap<String, String> metadata(Path file, JsonNode node) {
        SequencedMap<String, String> metadata = new LinkedHashMap<>();
        if (node == null) {
            return metadata;
        }
        if (!(node instanceof ObjectNode object)) {
            throw MalformedCheckpointException.of(Fault.METADATA, file, METADATA, node, "an object of strings");
        }
        for (Map.Entry<String, JsonNode> entry : object.properties()) {
            if (!entry.getValue().isString()) {
                throw MalformedCheckpointException.of(Fault.METADATA, file, METADATA + "." + entry.getKey(), entry.getValue(), "a string");
            }
            metadata.put(entry.getKey(), entry.getValue().stringValue());
        }
        return metadata;
    }

    private static Tensor tensor(Path file, String name, JsonNode entry, long data, long fileLength) {
        String what = "tensor '" + name + "'";
        if (!entry.has("dtype") || !entry.has("shape") || !entry.has("data_offsets")) {
            throw MalformedCheckpointException.of(Fault.TENSOR_ENTRY, file, what, entry, "an object with dtype, shape and data_offsets");
        }
        DType dtype = dtype(file, what, entry.get("dtype"));
        List<Long> shape = extents(file, what + ": shape", entry.get("shape"), Fault.SHAPE, "a list of whole numbers of 0 or more");
        long needed = bytes(file, what, dtype, shape);
        List<Long> offsets = extents(file, what + ": data_offsets", entry.get("data_offsets"), Fault.OFFSETS,
                "two ascending numbers of 0 or more");
        if (offsets.size() != 2 || offsets.get(0) > offsets.get(1)) {
            throw MalformedCheckpointException.of(Fault.OFFSETS, file, what + ": data_offsets", offsets,
                    "two ascending numbers of 0 or more");
        }
        if (offsets.get(1) > fileLength - data) {
            throw MalformedCheckpointException.of(Fault.OFFSETS_BEYOND_FILE, file, what + ": data_offsets", offsets,
                    "at most the " + (fileLength - data) + " bytes behind the header");
        }
        long length = offsets.get(1) - offsets.get(0);
        if (length != needed) {
            throw MalformedCheckpointException.of(Fault.LENGTH_MISMATCH, file, what + ": data_offsets",
                    offsets + ", " + length + " bytes", needed + " bytes for " + dtype + " " + shape);
        }
        return new Tensor(name, dtype, shape, file, data + offsets.get(0), length);
    }

    private static DType dtype(Path file, String what, JsonNode node) {
        for (DType dtype : DType.values()) {
            if (node.isString() && dtype.name().equals(node.stringValue())) {
                return dtype;
            }
        }
        throw MalformedCheckpointException.of(Fault.UNKNOWN_DTYPE, file, what + ": dtype", node, "one of " + List.of(DType.values()));
    }

    private static List<Long> extents(Path file, String what, JsonNode node, Fault fault, String expected) {
        List<Long> extents = new ArrayList<>();
        boolean right = node.isArray();
        for (JsonNode extent : node) {
            right = right && extent.isIntegralNumber() && extent.canConvertToLong() && extent.longValue() >= 0;
            if (right) {
                extents.add(extent.longValue());
            }
        }
        if (!right) {
            throw MalformedCheckpointException.of(fault, file, what, node, expected);
        }
        return extents;
    }

    private static long bytes(Path file, String what, DType dtype, List<Long> shape) {
        try {
            long bytes = dtype.bytes();
            for (long extent : shape) {
                bytes = Math.multiplyExact(bytes, extent);
            }
            return bytes;
        } catch (ArithmeticException overflow) {
            throw MalformedCheckpointException.of(Fault.SHAPE_OVERFLOW, file, what + ": shape", shape, "a size below 2^63 bytes");
        }
    }

    private static SequencedMap<String, Tensor> laidOut(Path file, List<Tensor> tensors, long data, long fileLength) {
        tensors.sort(Comparator.comparingLong(Tensor::offset).thenComparingLong(Tensor::length));
        SequencedMap<String, Tensor> byName = LinkedHashMap.newLinkedHashMap(tensors.size());
        long end = data;
        for (Tensor tensor : tensors) {
            if (tensor.offset() != end) {
                Fault fault = tensor.offset() < end ? Fault.OVERLAP : Fault.HOLE;
                throw MalformedCheckpointException.of(fault, file, "tensor '" + tensor.name() + "': first byte", tensor.offset() - data,
                        (end - data) + ", where the tensor before it ends");
            }
            byName.put(tensor.name(), tensor);
            end += tensor.length();
        }
        if (end != fileLength) {
            throw MalformedCheckpointException.of(Fault.TRAILING_BYTES, file, "file length", fileLength,
                    end + ", where the last tensor ends");
        }
        return byName;
    }
}

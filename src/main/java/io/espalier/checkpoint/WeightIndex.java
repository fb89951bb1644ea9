package io.espalier.checkpoint;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.SequencedSet;
import java.util.TreeSet;

import io.espalier.checkpoint.MalformedCheckpointException.Fault;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * {@code model.safetensors.index.json}: which shard holds which tensor.
 *
 * @param file it was read from
 * @param json its content
 * @param weightMap tensor name to shard file name
 */
record WeightIndex(Path file, ObjectNode json, SequencedMap<String, String> weightMap) {

    static WeightIndex read(Path file) {
        ObjectNode json = JsonFile.read(file, Fault.INDEX_NOT_AN_OBJECT);
        JsonNode map = json.get("weight_map");
        if (!(map instanceof ObjectNode) || map.isEmpty()) {
            throw MalformedCheckpointException.of(Fault.INDEX_WITHOUT_WEIGHT_MAP, file, "weight_map", map == null ? "missing" : map,
                    "an object from tensor names to file names");
        }
        SequencedMap<String, String> weightMap = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> entry : map.properties()) {
            weightMap.put(entry.getKey(), shardName(file, entry.getKey(), entry.getValue()));
        }
        return new WeightIndex(file, json, weightMap);
    }

    private static String shardName(Path file, String tensor, JsonNode node) {
        String name = node.isString() ? node.stringValue() : "";
        if (!name.endsWith(".safetensors") || name.startsWith(".") || name.contains("/") || name.contains("\\")
                || name.indexOf('\0') >= 0) {
            throw MalformedCheckpointException.of(Fault.SHARD_NAME, file, "shard of tensor '" + tensor + "'", node,
                    "a plain file name that ends in .safetensors");
        }
        return name;
    }

    /** The shards' file names, in name order. */
    SequencedSet<String> shards() {
        return new TreeSet<>(weightMap.values());
    }

    /** The named shard's file in {@code directory}. */
    Path shard(Path directory, String name) {
        Path shard = directory.resolve(name);
        if (!Files.exists(shard)) {
            throw MalformedCheckpointException.of(Fault.MISSING_SHARD, file, "shard", name, "a file beside the index");
        }
        return shard;
    }

    /** Holds what the shards contain against what the index says. */
    void verify(Map<String, Tensor> tensors) {
        weightMap.forEach((name, shard) -> {
            Tensor tensor = tensors.get(name);
            if (tensor == null || !tensor.shard().getFileName().toString().equals(shard)) {
                throw MalformedCheckpointException.of(Fault.TENSOR_NOT_IN_SHARD, file, "tensor '" + name + "'",
                        tensor == null ? "in no shard" : "in " + tensor.shard().getFileName(), "in " + shard);
            }
        });
        for (Tensor tensor : tensors.values()) {
            if (!weightMap.containsKey(tensor.name())) {
                throw MalformedCheckpointException.of(Fault.TENSOR_NOT_IN_INDEX, tensor.shard(), "tensor '" + tensor.name() + "'",
                        "not in the index", "every tensor of a shard named in " + file.getFileName());
            }
        }
    }
}

package io.espalier.plan;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;

import io.espalier.checkpoint.Checkpoint;
import io.espalier.checkpoint.ExpertTensors;
import io.espalier.checkpoint.JsonFile;
import io.espalier.checkpoint.SafetensorsFile;
import io.espalier.checkpoint.SafetensorsWriter;
import io.espalier.checkpoint.SafetensorsWriter.Declared;
import io.espalier.checkpoint.Tensor;
import io.espalier.plan.Cuttings.Cutting;
import io.espalier.recipe.PruningException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Copies a checkpoint by a keep-plan. It gathers bytes and computes nothing: rows of gate and up, columns of down, in the source's dtype; every
 * other tensor byte for byte; the same shard names, tensor order and metadata, and the same dialect as far as it can say the widths ({@link Cuttings}).
 * Memory holds one buffer, whatever the tensors' size.
 */
public final class Cut {

    /** Bytes moved between two reports. */
    private static final long PIECE = 16L << 20;

    private final Checkpoint source;
    private final Cuttings cuttings;

    private Cut(Checkpoint source, KeepPlan plan, List<ExpertTensors> experts, Map<Integer, List<String>> perExpert) {
        this.source = source;
        this.cuttings = new Cuttings(source, plan, experts, perExpert);
    }

    /** A cut where every expert stays in number. */
    static List<Integer> write(Checkpoint source, KeepPlan plan, List<ExpertTensors> experts, ObjectNode config, Path target,
            LongConsumer written) {
        return write(source, plan, experts, Map.of(), config, target, written);
    }

    /**
     * Writes the pruned checkpoint: shards, index (where the source has one), companions and {@code config.json}.
     *
     * @param source stays open until this returns
     * @param plan for every routed expert of the model
     * @param experts where they lie, in the plan's order
     * @param perExpert by layer, the tensors whose first dimension is the layer's experts: where experts go whole, their rows go too
     * @param config what {@code config.json} will say
     * @param target a directory without a checkpoint in it, made when missing
     * @param written told how many bytes were just written, every tensor and every 16 MiB of one; what it throws ends the cut
     * @return layers, ascending, whose fused tensors were written apart, because one tensor cannot hold experts of several widths
     * @throws PruningException {@code FP8_ALIGNMENT} when FP8 weights would have to be rounded anew, before anything is written; {@code DISK_FULL} with the bytes needed and available, before anything is written where that can be known;
     *     {@code IO_ERROR}
     * @throws io.espalier.checkpoint.MalformedCheckpointException when the source changes meanwhile
     */
    public static List<Integer> write(Checkpoint source, KeepPlan plan, List<ExpertTensors> experts,
            Map<Integer, List<String>> perExpert, ObjectNode config, Path target, LongConsumer written) {
        Cut cut = new Cut(source, plan, experts, perExpert);
        long needed = 0;
        try {
            Files.createDirectories(target);
            needed = cut.needed();
            DiskSpace.require(target, needed);
            for (SafetensorsFile shard : cut.shards()) {
                cut.writeShard(shard, target.resolve(shard.path().getFileName().toString()), written);
            }
            cut.writeIndex(target);
            for (Path companion : source.companions()) {
                Files.copy(companion, target.resolve(companion.getFileName().toString()));
                written.accept(Files.size(companion));
            }
            JsonFile.write(target.resolve(Checkpoint.CONFIG), config);
        } catch (IOException cause) {
            throw DiskSpace.failure(target, needed, cause);
        } catch (UncheckedIOException cause) {
            throw DiskSpace.failure(target, needed, cause.getCause());
        }
        source.verifyUnchanged();
        return cut.cuttings.unfused();
    }

    /**
     * What a cut would write, without writing it.
     *
     * @param bytes of all files, index and config aside
     * @param unfused layers whose fused tensors would be written apart
     */
    public record Foreseen(long bytes, List<Integer> unfused) {}

    /**
     * What {@link #write} would write.
     *
     * @throws PruningException {@code FP8_ALIGNMENT}
     */
    public static Foreseen foresee(Checkpoint source, KeepPlan plan, List<ExpertTensors> experts, Map<Integer, List<String>> perExpert) {
        Cut cut = new Cut(source, plan, experts, perExpert);
        try {
            return new Foreseen(cut.needed(), cut.cuttings.unfused());
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    /** Bytes of all files to come, index and config aside. */
    private long needed() throws IOException {
        long needed = 0;
        for (SafetensorsFile shard : shards()) {
            needed += SafetensorsWriter.fileLength(declared(shard), shard.metadata());
        }
        for (Path companion : source.companions()) {
            needed += Files.size(companion);
        }
        return needed;
    }

    /** Those of the source that something is left in. */
    private List<SafetensorsFile> shards() {
        return source.shards().stream().filter(shard -> source.index() == null || !declared(shard).isEmpty()).toList();
    }

    private List<Declared> declared(SafetensorsFile shard) {
        List<Declared> declared = new ArrayList<>();
        for (Tensor tensor : shard.tensors().values()) {
            List<Cutting> cut = cuttings.of(tensor.name());
            if (cut == null) {
                declared.add(new Declared(tensor.name(), tensor.dtype(), tensor.shape()));
            } else {
                cut.forEach(cutting -> declared.add(cutting.declared()));
            }
        }
        return declared;
    }

    private void writeShard(SafetensorsFile shard, Path file, LongConsumer written) throws IOException {
        try (FileChannel channel = FileChannel.open(shard.path());
                SafetensorsWriter writer = SafetensorsWriter.create(file, declared(shard), shard.metadata())) {
            for (Tensor tensor : shard.tensors().values()) {
                List<Cutting> cut = cuttings.of(tensor.name());
                if (cut == null) {
                    copy(channel, tensor, writer.begin(tensor.name()), written);
                } else {
                    cut.forEach(cutting -> gather(cutting, writer, written));
                }
            }
            writer.finish();
        }
    }

    private static void gather(Cutting cutting, SafetensorsWriter writer, LongConsumer written) {
        writer.begin(cutting.declared().name());
        for (Gather gather : cutting.gathers()) {
            gather.into(writer::write);
            written.accept(gather.length());
        }
    }

    private static void copy(FileChannel from, Tensor tensor, SafetensorsWriter writer, LongConsumer written) {
        for (long at = 0; at < tensor.length(); at += PIECE) {
            long count = Math.min(PIECE, tensor.length() - at);
            writer.transfer(from, tensor.offset() + at, count);
            written.accept(count);
        }
    }

    /** The source's index with the sizes that are true now; what was taken apart stays in its shard. */
    private void writeIndex(Path target) {
        ObjectNode index = source.index();
        if (index == null) {
            return;
        }
        long bytes = 0;
        long parameters = 0;
        for (SafetensorsFile shard : source.shards()) {
            for (Declared tensor : declared(shard)) {
                bytes += tensor.length();
                parameters += tensor.length() / tensor.dtype().bytes();
            }
        }
        JsonNode given = index.get("metadata");
        ObjectNode metadata = given instanceof ObjectNode object ? object : index.putObject("metadata");
        metadata.put("total_size", bytes);
        if (metadata.has("total_parameters")) {
            metadata.put("total_parameters", parameters);
        }
        ObjectNode places = (ObjectNode) index.get("weight_map");
        ObjectNode placesNow = index.putObject("weight_map");
        for (Map.Entry<String, JsonNode> place : places.properties()) {
            List<Cutting> cut = cuttings.of(place.getKey());
            if (cut == null) {
                placesNow.set(place.getKey(), place.getValue());
            } else {
                cut.forEach(cutting -> placesNow.set(cutting.declared().name(), place.getValue()));
            }
        }
        JsonFile.write(target.resolve(Checkpoint.INDEX), index);
    }
}

package io.espalier.plan;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
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
import io.espalier.recipe.PruningException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Copies a checkpoint by a keep-plan. It gathers bytes and computes nothing: rows of gate and up, columns of down, in the source's dtype; every
 * other tensor byte for byte; the same shard names, tensor order and metadata. Memory holds one buffer, whatever the tensors' size.
 */
public final class Cut {

    /** Bytes moved between two reports. */
    private static final long PIECE = 16L << 20;

    private final Checkpoint source;
    /** What happens to a tensor, by name; a tensor that is not here is copied. */
    private final Map<String, Gather> gathers = new LinkedHashMap<>();

    private Cut(Checkpoint source, KeepPlan plan, List<ExpertTensors> experts) {
        this.source = source;
        List<KeepPlan.Expert> kept = plan.experts();
        if (kept.size() != experts.size()) {
            throw new IllegalArgumentException("plan: " + kept.size() + " experts (expected: the model's " + experts.size() + ")");
        }
        for (int e = 0; e < experts.size(); e++) {
            ExpertTensors expert = experts.get(e);
            KeepPlan.Expert keep = kept.get(e);
            if (keep.layer() != expert.layer() || keep.expert() != expert.expert() || keep.width() != expert.width()) {
                throw new IllegalArgumentException("plan: layer " + keep.layer() + ", expert " + keep.expert() + ", width " + keep.width()
                        + " (expected: layer " + expert.layer() + ", expert " + expert.expert() + ", width " + expert.width() + ")");
            }
            add(expert.gate(), keep, 0);
            add(expert.up(), keep, 0);
            add(expert.down(), keep, 1);
        }
    }

    private void add(String name, KeepPlan.Expert keep, int axis) {
        Tensor tensor = source.tensor(name);
        if (tensor.rank() != 2 || tensor.dim(axis) != keep.width()) {
            throw new IllegalArgumentException(
                    name + ": shape " + tensor.shape() + " (expected: "
                            + (axis == 0 ? "[" + keep.width() + ", hidden]" : "[hidden, " + keep.width() + "]")
                            + ")");
        }
        if (gathers.put(name, new Gather(tensor, axis, keep.kept())) != null) {
            throw new IllegalArgumentException(name + ": in two places of the model (expected: one)");
        }
    }

    /**
     * Writes the pruned checkpoint: shards, index (where the source has one), companions and {@code config.json}.
     *
     * @param source stays open until this returns
     * @param plan for every routed expert of the model
     * @param experts where they lie, in the plan's order
     * @param config what {@code config.json} will say
     * @param target a directory without a checkpoint in it, made when missing
     * @param written told how many bytes were just written, every tensor and every 16 MiB of one; what it throws ends the cut
     * @throws PruningException {@code DISK_FULL} with the bytes needed and available, before anything is written where that can be known;
     *     {@code IO_ERROR}
     * @throws io.espalier.checkpoint.MalformedCheckpointException when the source changes meanwhile
     */
    public static void write(Checkpoint source, KeepPlan plan, List<ExpertTensors> experts, ObjectNode config, Path target,
            LongConsumer written) {
        Cut cut = new Cut(source, plan, experts);
        long needed = 0;
        try {
            Files.createDirectories(target);
            needed = cut.needed();
            DiskSpace.require(target, needed);
            for (SafetensorsFile shard : source.shards()) {
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
    }

    /** Bytes of all files to come, index and config aside. */
    private long needed() throws IOException {
        long needed = 0;
        for (SafetensorsFile shard : source.shards()) {
            needed += SafetensorsWriter.fileLength(declared(shard), shard.metadata());
        }
        for (Path companion : source.companions()) {
            needed += Files.size(companion);
        }
        return needed;
    }

    private List<Declared> declared(SafetensorsFile shard) {
        List<Declared> declared = new ArrayList<>();
        for (Tensor tensor : shard.tensors().values()) {
            Gather gather = gathers.get(tensor.name());
            declared.add(new Declared(tensor.name(), tensor.dtype(), gather == null ? tensor.shape() : gather.shape()));
        }
        return declared;
    }

    private void writeShard(SafetensorsFile shard, Path file, LongConsumer written) throws IOException {
        try (FileChannel channel = FileChannel.open(shard.path());
                SafetensorsWriter writer = SafetensorsWriter.create(file, declared(shard), shard.metadata())) {
            for (Tensor tensor : shard.tensors().values()) {
                writer.begin(tensor.name());
                Gather gather = gathers.get(tensor.name());
                if (gather == null) {
                    copy(channel, tensor, writer, written);
                } else {
                    gather.from(source.bytes(tensor), writer::write);
                    written.accept(gather.length());
                }
            }
            writer.finish();
        }
    }

    private static void copy(FileChannel from, Tensor tensor, SafetensorsWriter writer, LongConsumer written) {
        for (long at = 0; at < tensor.length(); at += PIECE) {
            long count = Math.min(PIECE, tensor.length() - at);
            writer.transfer(from, tensor.offset() + at, count);
            written.accept(count);
        }
    }

    /** The source's index with the sizes that are true now; which shard holds which tensor has not changed. */
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
        JsonFile.write(target.resolve(Checkpoint.INDEX), index);
    }
}

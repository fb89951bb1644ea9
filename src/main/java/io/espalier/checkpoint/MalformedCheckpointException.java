package io.espalier.checkpoint;

import java.nio.file.Path;

/** A checkpoint that breaks its format. The message names file, tensor, what was given and what was expected. */
public final class MalformedCheckpointException extends RuntimeException {

    /** The closed list of ways to be wrong, in the order in which they are looked for. */
    public enum Fault {
        /** There is no such directory. */
        NOT_A_DIRECTORY,
        /** A file leads (by a symbolic link) to a place that the caller does not allow. */
        PATH_NOT_ALLOWED,
        /** A name that should be a file is something else. */
        NOT_A_FILE,
        /** No {@code config.json}. */
        CONFIG_MISSING,
        /** A JSON file is longer than any checkpoint needs. */
        JSON_TOO_LONG,
        /** {@code config.json} is not a JSON object. */
        CONFIG_NOT_AN_OBJECT,
        /** Neither an index nor {@code model.safetensors}. */
        NO_WEIGHTS,
        /** Weights are there, but only in a format that is not safetensors. */
        WEIGHTS_NOT_SAFETENSORS,
        /** The index is not a JSON object. */
        INDEX_NOT_AN_OBJECT,
        /** The index has no {@code weight_map} from tensor names to file names. */
        INDEX_WITHOUT_WEIGHT_MAP,
        /** The index names a shard that is not a plain file name. */
        SHARD_NAME,
        /** The index names a shard that is not there. */
        MISSING_SHARD,
        /** A file has no room for the eight bytes of the header length. */
        FILE_TOO_SHORT,
        /** The header length is 0. */
        HEADER_EMPTY,
        /** The header length is above the format's limit. */
        HEADER_TOO_LONG,
        /** The header would end behind the end of the file. */
        HEADER_BEYOND_FILE,
        /** The header is not UTF-8. */
        HEADER_NOT_UTF8,
        /** The header is not one JSON object. */
        HEADER_NOT_AN_OBJECT,
        /** {@code __metadata__} is not a map from strings to strings. */
        METADATA,
        /** A header names a tensor twice. */
        DUPLICATE_TENSOR,
        /** A header entry lacks dtype, shape or data_offsets. */
        TENSOR_ENTRY,
        /** A dtype that the format does not know. */
        UNKNOWN_DTYPE,
        /** A shape that is not a list of extents of 0 or more. */
        SHAPE,
        /** A shape whose size does not fit 63 bits. */
        SHAPE_OVERFLOW,
        /** Offsets that are not two ascending numbers of 0 or more. */
        OFFSETS,
        /** Offsets that point behind the end of the file. */
        OFFSETS_BEYOND_FILE,
        /** Offsets that span another number of bytes than dtype and shape need. */
        LENGTH_MISMATCH,
        /** Two tensors share bytes. */
        OVERLAP,
        /** Bytes between two tensors that belong to none. */
        HOLE,
        /** Bytes behind the last tensor. */
        TRAILING_BYTES,
        /** Two shards hold a tensor of the same name. */
        TENSOR_IN_TWO_SHARDS,
        /** The index places a tensor in a shard that lacks it. */
        TENSOR_NOT_IN_SHARD,
        /** A shard holds a tensor that the index does not place there. */
        TENSOR_NOT_IN_INDEX,
        /** A tensor that the caller needs is in no shard. */
        MISSING_TENSOR,
        /** A file changed while it was in use. */
        CHANGED
    }

    private final Fault fault;

    MalformedCheckpointException(Fault fault, Path file, String problem) {
        super(file.getFileName() + ": " + problem);
        this.fault = fault;
    }

    static MalformedCheckpointException of(Fault fault, Path file, String what, Object given, String expected) {
        return new MalformedCheckpointException(fault, file, what + ": " + given + " (expected: " + expected + ")");
    }

    public Fault fault() {
        return fault;
    }
}

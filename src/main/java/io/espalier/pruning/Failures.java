package io.espalier.pruning;

import java.io.IOException;
import java.io.UncheckedIOException;

import io.espalier.architecture.UnsupportedModelException;
import io.espalier.checkpoint.MalformedCheckpointException;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.transformer.MemoryPlan;
import io.espalier.transformer.NotFiniteException;

/** The one border at which the workshop's exceptions get the stable code that a job fails with; the message stays as it was. */
final class Failures {

    private Failures() {}

    /** What a run throws to its caller; exceptions that are nobody's fault but ours pass unchanged. */
    static RuntimeException named(RuntimeException e) {
        return switch (e) {
            case PruningException known -> known;
            case Progress.StoppedException stopped -> stopped;
            case MalformedCheckpointException malformed -> new PruningException(ErrorCode.MALFORMED_CHECKPOINT, malformed.getMessage(), e);
            case UnsupportedModelException unsupported -> new PruningException(switch (unsupported.reason()) {
                case ARCHITECTURE -> ErrorCode.UNSUPPORTED_ARCHITECTURE;
                case CONFIGURATION -> ErrorCode.UNSUPPORTED_CONFIGURATION;
                case TENSORS -> ErrorCode.MALFORMED_CHECKPOINT;
            }, unsupported.getMessage(), e);
            case MemoryPlan.BudgetTooSmallException small -> new PruningException(ErrorCode.OUT_OF_MEMORY, small.getMessage(), e);
            case NotFiniteException notFinite -> new PruningException(ErrorCode.NOT_FINITE, notFinite.getMessage(), e);
            case UncheckedIOException io -> new PruningException(diskFull(io.getCause()) ? ErrorCode.DISK_FULL : ErrorCode.IO_ERROR,
                    io.getCause().getMessage(), e);
            default -> e;
        };
    }

    private static boolean diskFull(IOException e) {
        String message = String.valueOf(e.getMessage());
        return message.contains("No space left on device") || message.contains("Disk quota exceeded");
    }
}

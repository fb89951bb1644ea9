package io.espalier.objectstore;

import java.io.IOException;

import software.amazon.awssdk.awscore.exception.AwsServiceException;

/** Storage did not do what was asked of it. The message says what, where and why, and never holds a key. */
public final class ObjectStoreException extends IOException {

    private final int status;

    ObjectStoreException(String what, RuntimeException cause) {
        super(what + ": " + why(cause), cause);
        this.status = cause instanceof AwsServiceException service ? service.statusCode() : 0;
    }

    ObjectStoreException(String what) {
        super(what);
        this.status = 0;
    }

    /** HTTP status of the refusal; 0 when there was no answer. */
    public int status() {
        return status;
    }

    private static String why(RuntimeException cause) {
        if (cause instanceof AwsServiceException service && service.awsErrorDetails() != null) {
            return service.statusCode() + " " + service.awsErrorDetails().errorCode();
        }
        Throwable root = cause;
        for (int depth = 0; root.getCause() != null && depth < 32; depth++) {
            root = root.getCause();
        }
        return root.getClass().getSimpleName() + (root.getMessage() == null ? "" : ": " + root.getMessage());
    }
}

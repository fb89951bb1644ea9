package io.espalier.objectstore;

import software.amazon.awssdk.services.s3.model.HeadObjectResponse;

/**
 * What an object says of itself.
 *
 * @param sha256 hexadecimal; {@code null} when somebody else put it there
 */
record Head(long bytes, String sha256) {

    static Head of(HeadObjectResponse answer) {
        return new Head(answer.contentLength(), answer.metadata().get(Upload.SHA256));
    }
}

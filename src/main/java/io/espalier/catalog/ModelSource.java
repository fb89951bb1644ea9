package io.espalier.catalog;

import com.fasterxml.jackson.annotation.JsonInclude;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * Where a model comes from. Exactly one of the first four is there.
 *
 * @param path a directory under a root
 * @param s3 {@code s3://bucket/prefix}
 * @param https address of a repository in the manner of the Hugging Face Hub
 * @param upload {@code true}: a client sent it
 * @param revision of the repository: branch, tag or commit
 * @param tokenRef the name of a secret that may read the repository; never the secret
 */
@JsonNaming(SnakeCaseStrategy.class)
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ModelSource(String path, String s3, String https, Boolean upload, String revision, String tokenRef) {

    static ModelSource ofPath(String path) {
        return new ModelSource(path, null, null, null, null, null);
    }

    static ModelSource ofUpload() {
        return new ModelSource(null, null, null, true, null, null);
    }

    /** Whether this service put the files where they are. */
    boolean ours() {
        return path == null;
    }

    /** The bucket of {@code s3://bucket/prefix}. */
    String bucket() {
        String rest = s3.substring("s3://".length());
        return rest.contains("/") ? rest.substring(0, rest.indexOf('/')) : rest;
    }

    /** Its prefix, without a slash at the end. */
    String prefix() {
        String rest = s3.substring("s3://".length());
        return rest.contains("/") ? rest.substring(rest.indexOf('/') + 1).replaceAll("/+$", "") : "";
    }
}

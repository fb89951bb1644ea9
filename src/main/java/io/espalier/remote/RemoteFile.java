package io.espalier.remote;

/**
 * A file that lies elsewhere, as its server described it.
 *
 * @param name plain, without a directory
 * @param bytes its length; -1 when the server does not say
 * @param tag by which the server tells one state of the file from another; {@code null} when it does not
 * @param digest what its content has to sum up to; {@code null} when the server offers nothing
 */
public record RemoteFile(String name, long bytes, String tag, Digest digest) {

    /**
     * A sum that a server promises.
     *
     * @param kind how it is computed
     * @param hex hexadecimal, lower case
     */
    public record Digest(Kind kind, String hex) {

        /** How a sum is computed. */
        public enum Kind {
            /** SHA-256 of the bytes. */
            SHA256,
            /** SHA-1 over {@code blob}, a space, the length in decimal, a zero byte, and the bytes: the name of the file in git. */
            GIT_BLOB
        }
    }
}

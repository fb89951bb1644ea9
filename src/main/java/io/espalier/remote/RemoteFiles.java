package io.espalier.remote;

import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;

import io.espalier.egress.EgressException;

/** A flat collection of files that lies elsewhere. */
public interface RemoteFiles {

    /**
     * Whether there is a file of this name, and what the server says of it.
     *
     * @throws RemoteException when it cannot be said
     */
    Optional<RemoteFile> find(String name) throws RemoteException;

    /**
     * Bytes of a file.
     *
     * @param from the first one wanted; the server may begin earlier, at 0
     * @param tag the state of the file that the bytes before were of; {@code null} when there are none or it is not known
     * @throws RemoteException when none come; so does reading when they break off
     */
    Bytes open(RemoteFile file, long from, String tag) throws RemoteException;

    /** Which state of the collection was met, where the server names it; {@code null} otherwise. */
    String revision();

    /**
     * Bytes on their way.
     *
     * @param from offset of the first one
     * @param total length of the whole file; -1 when the server does not say
     * @param tag of the file's state; {@code null} when the server does not say
     * @param who server and file, for people
     */
    record Bytes(long from, long total, String tag, InputStream in, String who) implements AutoCloseable {

        /** As many as are there, at least one; -1 at the end. */
        public int read(byte[] into) throws RemoteException {
            try {
                return in.read(into);
            } catch (EgressException e) {
                throw Hub.told(e);
            } catch (IOException e) {
                throw RemoteException.passing(who + ": the connection broke");
            }
        }

        @Override
        public void close() {
            try {
                in.close();
            } catch (IOException e) {
                // why nothing: what was to be had was had
                return;
            }
        }
    }
}

package io.espalier.remote;

import java.net.URI;
import java.time.Duration;
import java.util.List;

import io.espalier.egress.Egress;
import io.espalier.objectstore.ObjectStore;
import org.springframework.stereotype.Component;

/** The ways to files that lie elsewhere. */
@Component
public class Elsewhere {

    private final Egress egress;
    private final ObjectStore store;
    private final Secrets secrets;

    Elsewhere(Egress egress, ObjectStore store, Secrets secrets) {
        this.egress = egress;
        this.store = store;
        this.secrets = secrets;
    }

    /** Everything that keeps an address from being asked, in words that follow "expected:". */
    public List<String> wrong(String url) {
        return egress.check(url).expected();
    }

    /** Whether a project has a secret of this name. */
    public boolean hasSecret(String project, String name) {
        return secrets.find(project, name).isPresent();
    }

    public RemoteFiles bucket(String bucket, String prefix) {
        return new Bucket(store.client(), bucket, prefix);
    }

    /**
     * @param project whose secret it is
     * @param tokenRef name of the secret that may read it; {@code null} for none
     * @param patience how long one file may take
     * @throws RemoteException when there is no such secret
     */
    public RemoteFiles hub(URI base, String revision, String project, String tokenRef, Duration patience) throws RemoteException {
        String token = tokenRef == null
                ? null
                : secrets.find(project, tokenRef).orElseThrow(() -> RemoteException.lasting("token_ref: there is no secret " + tokenRef
                        + " any more (expected: a file of this name in espalier.secrets.directory)"));
        return new Hub(egress, base, revision, token, patience);
    }
}

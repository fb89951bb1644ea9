package io.espalier.catalog;

import java.io.IOException;
import java.io.InputStream;
import java.util.List;

import io.espalier.egress.Call;
import io.espalier.egress.Egress;
import io.espalier.egress.EgressException;
import io.espalier.egress.Reply;
import io.espalier.recipe.Violation;
import org.springframework.stereotype.Component;

/** Texts that lie behind an address which a client named. */
@Component
class Fetched {

    private static final int REDIRECTS = 5;
    private static final String EXPECTED = "an address that answers with a text";

    private final Egress egress;

    Fetched(Egress egress) {
        this.egress = egress;
    }

    /**
     * The body of the answer.
     *
     * @throws CorpusException when the address may not be asked, or does not answer with a text
     */
    InputStream open(String url, long maxBytes) throws IOException {
        Egress.Checked checked = egress.check(url);
        if (!checked.allowed()) {
            throw refused(url, String.join("; ", checked.expected()));
        }
        Reply reply;
        try {
            reply = egress.send(Call.get(checked.uri()).atMost(maxBytes).following(REDIRECTS));
        } catch (EgressException e) {
            throw refused(url, EXPECTED + "; " + e.getMessage());
        }
        if (reply.status() != 200) {
            reply.close();
            throw refused(url, EXPECTED + "; it answered " + reply.status());
        }
        return new Told(reply, url);
    }

    /** Without what may be a secret: a user and a password, a query. */
    private static CorpusException refused(String url, String expected) {
        return new CorpusException(List.of(new Violation("url", url.replaceFirst("[?#].*", "").replaceFirst("//[^/]*@", "//"), expected)));
    }

    /** What goes wrong on the way is a matter of the address. */
    private static final class Told extends java.io.FilterInputStream {

        private final Reply reply;
        private final String url;

        private Told(Reply reply, String url) {
            super(reply.body());
            this.reply = reply;
            this.url = url;
        }

        @Override
        public int read(byte[] bytes, int from, int length) {
            try {
                return super.read(bytes, from, length);
            } catch (EgressException e) {
                if (e.reason() == EgressException.Reason.TOO_LARGE) {
                    throw new CorpusException(CorpusException.Reason.TOO_LARGE, e.getMessage());
                }
                throw refused(url, EXPECTED + "; " + e.getMessage());
            } catch (IOException e) {
                throw refused(url, EXPECTED + "; it stopped in the middle");
            }
        }

        @Override
        public void close() throws IOException {
            reply.close();
        }
    }
}

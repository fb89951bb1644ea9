package io.espalier.objectstore;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** Stands before a server and cuts connections where a test says. */
public final class CuttingProxy implements AutoCloseable {

    private final ServerSocket listening;
    private final int target;
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private final AtomicLong upTo = new AtomicLong(Long.MAX_VALUE);
    private final AtomicLong downTo = new AtomicLong(Long.MAX_VALUE);
    private final AtomicInteger cuts = new AtomicInteger();
    private volatile boolean refusing;

    public CuttingProxy(int target) throws IOException {
        this.target = target;
        listening = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread.ofVirtual().start(this::accept);
    }

    public int port() {
        return listening.getLocalPort();
    }

    /** Cuts every connection once so many more bytes went up. */
    public void cutUpAfter(long bytes) {
        upTo.set(bytes);
    }

    /** Cuts every connection once so many more bytes came down. */
    public void cutDownAfter(long bytes) {
        downTo.set(bytes);
    }

    /** Cuts what is open, and every new connection at once, until told otherwise. */
    public void refuse(boolean all) {
        refusing = all;
        if (all) {
            cut();
        }
    }

    /** How often it cut. */
    public int cuts() {
        return cuts.get();
    }

    private void accept() {
        while (!listening.isClosed()) {
            try {
                Socket client = listening.accept();
                if (refusing) {
                    client.setSoLinger(true, 0);
                    client.close();
                    continue;
                }
                Socket server = new Socket(InetAddress.getLoopbackAddress(), target);
                open.add(client);
                open.add(server);
                Thread.ofVirtual().start(() -> pump(client, server, upTo));
                Thread.ofVirtual().start(() -> pump(server, client, downTo));
            } catch (IOException e) {
                // closed, or the server is not there: the client notices
            }
        }
    }

    private void pump(Socket from, Socket to, AtomicLong left) {
        byte[] buffer = new byte[8192];
        try (from; to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                if (left.get() != Long.MAX_VALUE && left.addAndGet(-n) < 0) {
                    left.set(Long.MAX_VALUE);
                    cut();
                    return;
                }
                out.write(buffer, 0, n);
            }
        } catch (IOException e) {
            // one end is gone: so is the other
        } finally {
            open.remove(from);
            open.remove(to);
        }
    }

    private void cut() {
        cuts.incrementAndGet();
        open.forEach(socket -> {
            try {
                socket.setSoLinger(true, 0);
                socket.close();
            } catch (IOException e) {
                // it was closed already
            }
        });
    }

    @Override
    public void close() throws IOException {
        listening.close();
        cut();
    }
}

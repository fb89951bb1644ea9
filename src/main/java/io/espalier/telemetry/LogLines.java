package io.espalier.telemetry;

import java.time.Clock;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import jakarta.annotation.PostConstruct;
import jakarta.annotation.PreDestroy;

import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.ThrowableProxyUtil;
import ch.qos.logback.core.AppenderBase;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Component;

/**
 * Listens to the process's log: keeps its last lines at hand, and hands the lines about a piece of a job, which carry its job and attempt in the logging
 * context, to whoever writes them down. What it keeps is bounded, and secrets are masked in it.
 */
@Component
public final class LogLines {

    /** Keys of the logging context. */
    public static final String JOB = "job_id";
    public static final String PIECE = "piece";
    public static final String ATTEMPT = "attempt";
    public static final String WORKER = "worker";

    private static final int RECENT = 2000;
    private static final int LONGEST = 16_000;
    /** Of one piece, while the database cannot be told. */
    private static final int UNTOLD_BYTES = 256 << 10;

    private final Redaction redaction;
    private final Clock clock;
    private final LoggerContext logback;
    private final Deque<String> recent = new ArrayDeque<>();
    private final Map<String, Piece> open = new ConcurrentHashMap<>();
    private final Listener listener = new Listener();

    @Autowired
    LogLines(Redaction redaction, Clock clock) {
        this(redaction, clock, LoggerFactory.getILoggerFactory() instanceof LoggerContext logback ? logback : null);
    }

    /** @param logback where lines come from; {@code null}: nowhere */
    LogLines(Redaction redaction, Clock clock, LoggerContext logback) {
        this.logback = logback;
        this.redaction = redaction;
        this.clock = clock;
    }

    /** Listens, if it does not yet. */
    @PostConstruct
    void attach() {
        if (logback != null && !root().isAttached(listener)) {
            listener.setContext(logback);
            listener.start();
            root().addAppender(listener);
        }
    }

    @PreDestroy
    void detach() {
        if (logback != null) {
            root().detachAppender(listener);
            listener.stop();
        }
    }

    private ch.qos.logback.classic.Logger root() {
        return logback.getLogger(Logger.ROOT_LOGGER_NAME);
    }

    /** The last lines of this process's log, oldest first. */
    public List<String> recent() {
        synchronized (recent) {
            return List.copyOf(recent);
        }
    }

    /** Collects the lines of one attempt from now on, until it is closed. */
    public Piece of(String job, int attempt) {
        // why: logging that was configured anew has forgotten whoever listened
        attach();
        return open.computeIfAbsent(key(job, String.valueOf(attempt)), Piece::new);
    }

    /** The lines of one attempt that nobody has taken yet. */
    public final class Piece implements AutoCloseable {

        private final String key;
        private final Deque<LogLine> untold = new ArrayDeque<>();
        private int bytes;

        private Piece(String key) {
            this.key = key;
        }

        private synchronized void add(LogLine line) {
            untold.addLast(line);
            for (bytes += line.bytes(); bytes > UNTOLD_BYTES; bytes -= untold.removeFirst().bytes()) {
                // why oldest first: the last words say why
            }
        }

        /** Those that nobody has taken; they are the caller's. */
        public synchronized List<LogLine> take() {
            List<LogLine> taken = new ArrayList<>(untold);
            untold.clear();
            bytes = 0;
            return taken;
        }

        /** Takes back what could not be told. */
        public synchronized void takeBack(List<LogLine> lines) {
            List<LogLine> later = take();
            lines.forEach(this::add);
            later.forEach(this::add);
        }

        @Override
        public void close() {
            open.remove(key);
        }
    }

    private static String key(String job, String attempt) {
        return job + "/" + attempt;
    }

    private final class Listener extends AppenderBase<ILoggingEvent> {

        @Override
        protected void append(ILoggingEvent event) {
            Map<String, String> context = event.getMDCPropertyMap();
            String said = event.getFormattedMessage() + (event.getThrowableProxy() == null
                    ? ""
                    : "\n" + ThrowableProxyUtil.asString(event.getThrowableProxy()).stripTrailing());
            String message = redaction.masked(said.length() > LONGEST ? said.substring(0, LONGEST) + "..." : said).replace("\0", "");
            String level = event.getLevel().toString().toLowerCase(Locale.ROOT);
            String logger = event.getLoggerName().substring(event.getLoggerName().lastIndexOf('.') + 1);
            String job = context.get(JOB);
            synchronized (recent) {
                recent.addLast(event.getInstant() + " " + level + " [" + (job == null ? "" : job) + "] " + logger + ": " + message);
                if (recent.size() > RECENT) {
                    recent.removeFirst();
                }
            }
            Piece piece = job == null || context.get(ATTEMPT) == null ? null : open.get(key(job, context.get(ATTEMPT)));
            if (piece != null) {
                piece.add(new LogLine(clock.instant(), level, logger, message, context.getOrDefault(WORKER, ""), context.get("traceId")));
            }
        }
    }
}

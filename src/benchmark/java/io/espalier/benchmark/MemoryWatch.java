package io.espalier.benchmark;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

/**
 * The resident memory of a process, sampled from the kernel's account of it while this is open. Anonymous memory is what a machine must have; mapped
 * file pages count as resident too but are given back when memory is short.
 */
final class MemoryWatch implements AutoCloseable {

    private static final long EVERY_MILLISECONDS = 10;

    private final long process;
    private final Thread sampler;
    private volatile long peakAnonymous;
    private volatile long peakResident;
    private volatile boolean open = true;

    private MemoryWatch(long process) {
        this.process = process;
        this.sampler = Thread.ofPlatform().daemon().name("memory-watch").unstarted(this::sample);
    }

    /** Watches this process, its high-water mark set back to now. */
    static MemoryWatch self() {
        try {
            // why: 5 resets VmHWM, so that the peak is this stretch's own
            Files.writeString(Path.of("/proc/self/clear_refs"), "5");
        } catch (IOException notAllowed) {
            System.out.println("  peak resident size is sampled only: " + notAllowed.getMessage());
        }
        return of(ProcessHandle.current().pid());
    }

    static MemoryWatch of(long process) {
        MemoryWatch watch = new MemoryWatch(process);
        watch.look();
        watch.sampler.start();
        return watch;
    }

    private void sample() {
        while (open && look()) {
            try {
                Thread.sleep(EVERY_MILLISECONDS);
            } catch (InterruptedException closed) {
                return;
            }
        }
    }

    private synchronized boolean look() {
        Map<String, Long> now = status(process);
        if (!now.containsKey("RssAnon")) {
            return false;
        }
        peakAnonymous = Math.max(peakAnonymous, now.get("RssAnon"));
        peakResident = Math.max(peakResident, Math.max(now.get("VmRSS"), process == ProcessHandle.current().pid() ? now.get("VmHWM") : 0));
        return true;
    }

    /** Bytes; the largest sample. */
    long peakAnonymous() {
        return peakAnonymous;
    }

    /** Bytes, file pages included; the kernel's own high-water mark where this process is watched. */
    long peakResident() {
        look();
        return peakResident;
    }

    /** The sizes in {@code /proc/<process>/status} in bytes; empty when the process has ended. */
    static Map<String, Long> status(long process) {
        Map<String, Long> sizes = new TreeMap<>();
        try {
            for (String line : Files.readAllLines(Path.of("/proc/" + process + "/status"))) {
                String[] words = line.split(":?\\s+");
                if (words.length == 3 && words[2].equals("kB")) {
                    sizes.put(words[0], Long.parseLong(words[1]) << 10);
                }
            }
        } catch (IOException ended) {
            return Map.of();
        }
        return sizes;
    }

    /** The counters in {@code /proc/<process>/io}; empty when the process has ended. */
    static Map<String, Long> io(long process) {
        Map<String, Long> counters = new TreeMap<>();
        try {
            for (String line : Files.readAllLines(Path.of("/proc/" + process + "/io"))) {
                String[] words = line.split(":\\s+");
                counters.put(words[0], Long.parseLong(words[1]));
            }
        } catch (IOException ended) {
            return Map.of();
        }
        return counters;
    }

    /** Gives freed native memory back to the system, so that what ran before does not stand in what runs next. */
    static void settle() {
        System.gc();
        Linker linker = Linker.nativeLinker();
        linker.defaultLookup().find("malloc_trim").ifPresent(trim -> {
            try {
                int _ = (int) linker.downcallHandle(trim, FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG))
                        .invokeExact(0L);
            } catch (Throwable impossible) {
                throw new IllegalStateException(impossible);
            }
        });
    }

    /** Asks the system to forget a file's cached pages, so that the next reader goes to the disk. */
    static void forgetPages(Path file) {
        Linker linker = Linker.nativeLinker();
        try (java.lang.foreign.Arena arena = java.lang.foreign.Arena.ofConfined()) {
            MemorySegment path = arena.allocateFrom(file.toString());
            int descriptor = (int) linker
                    .downcallHandle(linker.defaultLookup().findOrThrow("open"),
                            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT),
                            Linker.Option.firstVariadicArg(2))
                    .invokeExact(path, 0);
            int _ = (int) linker
                    .downcallHandle(linker.defaultLookup().findOrThrow("posix_fadvise"),
                            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG,
                                    ValueLayout.JAVA_INT))
                    .invokeExact(descriptor, 0L, 0L, 4);
            int _ = (int) linker.downcallHandle(linker.defaultLookup().findOrThrow("close"),
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT)).invokeExact(descriptor);
        } catch (Throwable failed) {
            throw new IllegalStateException("page cache of " + file.getFileName() + " not dropped", failed);
        }
    }

    @Override
    public void close() {
        look();
        open = false;
        sampler.interrupt();
    }
}

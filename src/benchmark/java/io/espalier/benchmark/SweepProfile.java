package io.espalier.benchmark;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

/**
 * Which part of the sweep each thread is in, looked at every few milliseconds while it runs: the product needs no hook for it. A look at a thread that
 * computes in native code costs that thread nothing.
 */
final class SweepProfile {

    /** A part of the sweep; a thread is in the first one whose classes and methods stand on its stack. */
    enum Part {
        EXPERTS_FORWARD, EXPERTS_REVERSE, ATTENTION_FORWARD, ATTENTION_REVERSE, HEAD, READING, COUNTING, STATES, ROUTING_AND_NORMS, OTHER, WAITING;

        /** As a table shows it. */
        String shown() {
            return name().toLowerCase(java.util.Locale.ROOT).replace('_', ' ');
        }
    }

    private static final long EVERY_MILLISECONDS = 4;

    private static final String HOUSE = "io.espalier.";

    private static final Set<String> WAITS = Set.of("java.util.concurrent.locks.LockSupport.park", "java.lang.Object.wait0",
            "java.lang.Object.wait",
            "jdk.internal.misc.Unsafe.park", "java.lang.Thread.sleep0");

    private final Map<Part, Long> seen = new EnumMap<>(Part.class);
    private final Map<String, Long> unplaced = new TreeMap<>();
    private long looks;
    private double seconds;

    /** Runs a task and looks at all threads meanwhile. */
    static <T> SweepProfile of(Callable<T> task) throws Exception {
        SweepProfile profile = new SweepProfile();
        Thread looking = Thread.ofPlatform().daemon().name("sweep-profile").unstarted(profile::look);
        looking.start();
        long began = System.nanoTime();
        try {
            task.call();
        } finally {
            looking.interrupt();
            looking.join();
        }
        profile.seconds = (System.nanoTime() - began) * 1e-9;
        return profile;
    }

    private void look() {
        while (!Thread.currentThread().isInterrupted()) {
            try {
                Thread.sleep(EVERY_MILLISECONDS);
            } catch (InterruptedException done) {
                return;
            }
            looks++;
            for (Map.Entry<Thread, StackTraceElement[]> thread : Thread.getAllStackTraces().entrySet()) {
                if (thread.getKey() != Thread.currentThread()) {
                    place(thread.getValue());
                }
            }
        }
    }

    private void place(StackTraceElement[] stack) {
        if (stack.length == 0 || java.util.Arrays.stream(stack).noneMatch(SweepProfile::ofTheSweep)) {
            return;
        }
        Part part = WAITS.contains(name(stack[0])) ? Part.WAITING : part(stack);
        seen.merge(part, 1L, Long::sum);
        if (part == Part.OTHER) {
            String where = java.util.Arrays.stream(stack).filter(SweepProfile::ofTheHouse).limit(2).map(SweepProfile::name)
                    .collect(Collectors.joining(" < "));
            unplaced.merge(where, 1L, Long::sum);
        }
    }

    private static boolean ofTheHouse(StackTraceElement frame) {
        return frame.getClassName().startsWith(HOUSE) && !frame.getClassName().startsWith(HOUSE + "benchmark");
    }

    private static boolean ofTheSweep(StackTraceElement frame) {
        return frame.getClassName().startsWith(HOUSE + "transformer.") || frame.getClassName().startsWith(HOUSE + "calibration.");
    }

    private static String name(StackTraceElement frame) {
        return frame.getClassName() + "." + frame.getMethodName();
    }

    /** By the names of the product's classes; what no rule knows is shown as OTHER with its place, so that a renamed class is noticed. */
    private static Part part(StackTraceElement[] stack) {
        boolean reverse = java.util.Arrays.stream(stack).filter(SweepProfile::ofTheHouse)
                .anyMatch(frame -> frame.getMethodName().matches("(lambda\\$)?(backward|reverse).*"));
        for (StackTraceElement frame : stack) {
            Part part = !ofTheHouse(frame) ? null : switch (simpleType(frame)) {
                case "WeightBuffer", "NativeTensor", "NativeMemory" -> Part.READING;
                case "HiddenStates" -> Part.STATES;
                case "Counter", "ExactSum", "ExpertStatistics" -> Part.COUNTING;
                case "Head", "Targets" -> Part.HEAD;
                case "Attention", "Positions" -> reverse ? Part.ATTENTION_REVERSE : Part.ATTENTION_FORWARD;
                case "MoeBlock" -> ofExperts(stack) ? reverse ? Part.EXPERTS_REVERSE : Part.EXPERTS_FORWARD : Part.ROUTING_AND_NORMS;
                case "Weights", "Decoder" -> Part.READING;
                case "DecoderLayer", "RmsNorm" -> Part.ROUTING_AND_NORMS;
                default -> frame.getClassName().startsWith(HOUSE + "checkpoint.") ? Part.READING : null;
            };
            if (part != null) {
                return part;
            }
        }
        return Part.OTHER;
    }

    /** Within the block: the gated MLPs, and the gathers and scatters that serve them; else the router. */
    private static boolean ofExperts(StackTraceElement[] stack) {
        return java.util.Arrays.stream(stack).filter(SweepProfile::ofTheHouse)
                .anyMatch(frame -> simpleType(frame).equals("GatedMlp") && !frame.getMethodName().equals("linear")
                        || frame.getMethodName().matches("gated|gate|projectRows|reverse\\w+|lambda\\$(forward|backward).*"));
    }

    private static String simpleType(StackTraceElement frame) {
        String type = frame.getClassName();
        return type.substring(Math.max(type.lastIndexOf('.'), type.lastIndexOf('$')) + 1);
    }

    /** Seconds on the wall. */
    double seconds() {
        return seconds;
    }

    /** Threads times seconds in a part. */
    double threadSeconds(Part part) {
        return looks == 0 ? 0 : seconds * seen.getOrDefault(part, 0L) / looks;
    }

    /** Where a thread stood when no rule knew the part, with thread-seconds, the longest first. */
    List<String> unplaced() {
        return unplaced.entrySet().stream().sorted(Map.Entry.<String, Long>comparingByValue().reversed()).limit(5)
                .map(place -> "%.2f s %s".formatted(seconds * place.getValue() / looks, place.getKey())).toList();
    }
}

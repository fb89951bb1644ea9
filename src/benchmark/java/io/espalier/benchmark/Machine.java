package io.espalier.benchmark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

import com.sun.management.OperatingSystemMXBean;
import io.espalier.transformer.Torch;

/** Where a figure was taken: without these a second is not a figure. */
final class Machine {

    private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private Machine() {}

    static int cores() {
        return Runtime.getRuntime().availableProcessors();
    }

    /** One-minute load average. */
    static double load() {
        return SYSTEM.getSystemLoadAverage();
    }

    /** Seconds of processor time that all threads of this process have used. */
    static double processorSeconds() {
        return SYSTEM.getProcessCpuTime() * 1e-9;
    }

    static Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("processor", processor());
        facts.put("cores", cores());
        facts.put("memory_gib", SYSTEM.getTotalMemorySize() / Report.GIB);
        facts.put("system", System.getProperty("os.name") + " " + System.getProperty("os.version"));
        facts.put("jdk", Runtime.version().toString());
        facts.put("heap_gib", Runtime.getRuntime().maxMemory() / Report.GIB);
        facts.put("allocator", allocator());
        return facts;
    }

    /** The same with the tensor engine, which is loaded by this. */
    static Map<String, Object> factsWithEngine() {
        Map<String, Object> facts = facts();
        facts.put("torch", Torch.start().getVersion());
        return facts;
    }

    private static String processor() {
        Path file = Path.of("/proc/cpuinfo");
        if (!Files.exists(file)) {
            return System.getProperty("os.arch");
        }
        try {
            return Files.readAllLines(file).stream().filter(line -> line.startsWith("model name")).findFirst()
                    .map(line -> line.substring(line.indexOf(':') + 1).strip()).orElse(System.getProperty("os.arch"));
        } catch (IOException cause) {
            throw new UncheckedIOException(cause);
        }
    }

    private static String allocator() {
        StringBuilder settings = new StringBuilder();
        System.getenv().forEach((name, value) -> {
            if (name.startsWith("MALLOC_") || name.startsWith("THP_") || name.startsWith("OMP_") || name.equals("LD_PRELOAD")
                    || name.equals("GLIBC_TUNABLES")) {
                settings.append(settings.isEmpty() ? "" : " ").append(name).append('=').append(value);
            }
        });
        return settings.isEmpty() ? "as the C library comes" : settings.toString();
    }
}

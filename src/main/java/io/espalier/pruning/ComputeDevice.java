package io.espalier.pruning;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryUsage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.Stream;

import ai.djl.Device;
import ai.djl.util.cuda.CudaUtils;
import io.espalier.architecture.DecoderSpec;
import io.espalier.transformer.Compute;
import io.espalier.transformer.MemoryPlan;
import io.espalier.transformer.Torch;

/**
 * A device that one worker thread owns, named {@code cpu} or {@code gpu:0}.
 *
 * @param name as settings and progress show it
 * @param memoryBudget bytes that weights and activations may take on it; 0 for a share of what is free when a run begins
 */
public record ComputeDevice(String name, long memoryBudget) {

    /** The share of the free memory that a run takes when it is given no budget: what is left is for mapped files and everybody else. */
    static final double FREE_SHARE = 0.6;

    /**
     * The devices that a setting names. The first call loads the native library.
     *
     * @param setting {@code auto} (every GPU, or the CPU when there is none), {@code cpu}, or a list such as {@code gpu:0,gpu:1}
     * @param memoryBudget bytes for each; 0 for a share of what is free
     * @throws IllegalArgumentException when the setting names a device that this machine does not have
     */
    public static List<ComputeDevice> find(String setting, long memoryBudget) {
        int gpus = Torch.gpus();
        List<ComputeDevice> found = new ArrayList<>();
        if (setting.equals("auto")) {
            for (int i = 0; i < gpus; i++) {
                found.add(new ComputeDevice("gpu:" + i, memoryBudget));
            }
            return found.isEmpty() ? List.of(new ComputeDevice("cpu", memoryBudget)) : found;
        }
        for (String name : setting.split(",")) {
            ComputeDevice device = new ComputeDevice(name.strip(), memoryBudget);
            boolean gpu = device.name.matches("gpu:\\d{1,4}") && Integer.parseInt(device.name.substring(4)) < gpus;
            if (!gpu && !device.name.equals("cpu")) {
                throw new IllegalArgumentException(
                        "devices: " + device.name + " (expected: auto, cpu, or gpu:<index> with an index below " + gpus
                                + ", the GPUs that the engine sees)");
            }
            if (found.contains(device)) {
                throw new IllegalArgumentException("devices: " + device.name + " twice (expected: each device once, one worker owns it)");
            }
            found.add(device);
        }
        return found;
    }

    boolean isGpu() {
        return !name.equals("cpu");
    }

    /** How a pass fits: on the CPU every core is a lane; a GPU is fed by one. */
    MemoryPlan plan(DecoderSpec spec, MemoryPlan.Work work, Compute.Precision precision) {
        return MemoryPlan.of(spec, work, device(), precision, isGpu() ? 1 : Runtime.getRuntime().availableProcessors(), budget());
    }

    private Device device() {
        return isGpu() ? Device.gpu(Integer.parseInt(name.substring(4))) : Device.cpu();
    }

    /** What weights and activations may take, if they were planned now. */
    long budget() {
        return memoryBudget > 0 ? memoryBudget : (long) (FREE_SHARE * (isGpu() ? freeOnGpu(device()) : freeMemory()));
    }

    /** Memory in use: the device's on a GPU; on the CPU what the process has written to and no file holds, Java's heap included. 0 where nobody says. */
    long memoryInUse() {
        return isGpu() ? CudaUtils.getGpuMemory(device()).getUsed() : kilobytes("/proc/self/status", "RssAnon:").orElse(0);
    }

    private static OptionalLong kilobytes(String file, String what) {
        try (Stream<String> lines = Files.lines(Path.of(file))) {
            return lines.filter(line -> line.startsWith(what)).mapToLong(line -> Long.parseLong(line.replaceAll("\\D+", "")) * 1024)
                    .findFirst();
        } catch (IOException | UncheckedIOException e) {
            return OptionalLong.empty();
        }
    }

    private static long freeOnGpu(Device device) {
        MemoryUsage usage = CudaUtils.getGpuMemory(device);
        return usage.getMax() - usage.getUsed();
    }

    /** What the system could hand out without swapping, which is more than what nobody uses: mapped files give way. */
    static long freeMemory() {
        return kilobytes("/proc/meminfo", "MemAvailable:").orElseGet(ComputeDevice::unusedMemory);
    }

    private static long unusedMemory() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getFreeMemorySize();
    }
}

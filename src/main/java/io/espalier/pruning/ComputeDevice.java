package io.espalier.pruning;

import java.util.ArrayList;
import java.util.List;

import ai.djl.Device;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Torch;

/**
 * A device that one worker thread owns, named {@code cpu} or {@code gpu:0}.
 *
 * @param name as settings and progress show it
 */
public record ComputeDevice(String name) {

    /**
     * The devices that a setting names. The first call loads the native library.
     *
     * @param setting {@code auto} (every GPU, or the CPU when there is none), {@code cpu}, or a list such as {@code gpu:0,gpu:1}
     * @throws IllegalArgumentException when the setting names a device that this machine does not have
     */
    public static List<ComputeDevice> find(String setting) {
        int gpus = Torch.gpus();
        List<ComputeDevice> found = new ArrayList<>();
        if (setting.equals("auto")) {
            for (int i = 0; i < gpus; i++) {
                found.add(new ComputeDevice("gpu:" + i));
            }
            return found.isEmpty() ? List.of(new ComputeDevice("cpu")) : found;
        }
        for (String name : setting.split(",")) {
            ComputeDevice device = new ComputeDevice(name.strip());
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

    /** On the CPU every core is a lane; a GPU is fed by one. */
    Compute compute() {
        return name.equals("cpu")
                ? Compute.cpu()
                : new Compute(Device.gpu(Integer.parseInt(name.substring(4))), Compute.Precision.FLOAT32, 1, true, false,
                        Integer.MAX_VALUE);
    }
}

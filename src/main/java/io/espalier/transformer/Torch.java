package io.espalier.transformer;

import ai.djl.engine.Engine;

/**
 * The native engine, started as this house needs it: with no look at the network, and with one native thread for each Java thread. Parallelism is
 * {@link Lanes}' business: native threads that wait for each other inside every small matrix product lose 10 to 30 times on busy cores.
 */
public final class Torch {

    static {
        System.setProperty("ai.djl.offline", "true");
        System.setProperty("OPT_OUT_TRACKING", "true");
        if (System.getProperty("ai.djl.pytorch.num_threads") == null) {
            System.setProperty("ai.djl.pytorch.num_threads", "1");
        }
        NativeMemory.tuneAllocator();
    }

    private Torch() {}

    /** Loads the native library on the first call. */
    public static Engine start() {
        return Engine.getInstance();
    }

    /** GPUs that the engine can use. */
    public static int gpus() {
        return start().getGpuCount();
    }
}

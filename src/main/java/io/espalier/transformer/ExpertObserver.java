package io.espalier.transformer;

import ai.djl.ndarray.NDArray;

/**
 * Watches the routed experts at work. It must not keep the arrays: they are freed after the call.
 */
public interface ExpertObserver {

    /** Watches nothing. */
    ExpertObserver NONE = new ExpertObserver() {
    };

    /**
     * An expert ran forward on the tokens routed to it in one micro-batch.
     *
     * @param layer decoder layer
     * @param expert index in that layer
     * @param a input of the down projection, [routed tokens, width]
     */
    default void forward(int layer, int expert, NDArray a) {}

    /**
     * An expert ran backward on the tokens routed to it in one micro-batch.
     *
     * @param layer decoder layer
     * @param expert index in that layer
     * @param a input of the down projection, [routed tokens, width]
     * @param da gradient of the sum-reduced loss with respect to {@code a}, router weight included, same shape
     */
    default void backward(int layer, int expert, NDArray a, NDArray da) {}
}

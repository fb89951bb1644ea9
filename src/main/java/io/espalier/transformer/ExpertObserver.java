package io.espalier.transformer;

/**
 * Watches the routed experts at work, some at a time. It must not keep the arrays: they are freed after the call.
 */
public interface ExpertObserver {

    /** Watches nothing. */
    ExpertObserver NONE = new ExpertObserver() {
    };

    /**
     * Experts ran forward on the tokens routed to them in one micro-batch.
     *
     * @param a input of the down projection
     */
    default void forward(ExpertRows a) {}

    /**
     * Experts ran backward on the tokens routed to them in one micro-batch.
     *
     * @param a input of the down projection
     * @param da gradient of the sum-reduced loss with respect to {@code a}, router weight included, of the same experts and rows
     */
    default void backward(ExpertRows a, ExpertRows da) {}

    /**
     * The same in the lowest layer that is reversed, where a is not computed anew: the forward pass showed it.
     *
     * @param da as above
     */
    default void gradient(ExpertRows da) {}
}

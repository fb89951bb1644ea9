package io.espalier.plan;

/**
 * What the engines that are to load the result ask of its shapes, beside alignment.
 *
 * @param tensorParallel devices that each expert is split over: widths are multiples of so many aligned shares; where whole experts go, the number that
 *     stays in a layer is a multiple of it
 * @param topK experts that a token selects: a layer keeps at least so many
 */
public record EngineDemands(int tensorParallel, int topK) {

    /** One device. */
    public static final EngineDemands NONE = new EngineDemands(1, 1);
}

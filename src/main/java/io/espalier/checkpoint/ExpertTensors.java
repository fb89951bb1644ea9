package io.espalier.checkpoint;

/**
 * Where the atoms of one routed expert lie: atom {@code k} is row {@code k} of gate and of up and column {@code k} of down.
 *
 * @param layer index of the decoder layer
 * @param expert index within the layer
 * @param width atoms
 * @param gate name of a tensor [width, hidden]
 * @param up name of a tensor [width, hidden]
 * @param down name of a tensor [hidden, width]
 */
public record ExpertTensors(int layer, int expert, int width, String gate, String up, String down) {}

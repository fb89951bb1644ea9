package io.espalier.checkpoint;

/**
 * Where the atoms of one routed expert lie: atom {@code k} is row {@code k} of gate and of up and column {@code k} of down.
 *
 * @param layer index of the decoder layer
 * @param expert index within the layer
 * @param width atoms
 * @param gate a matrix [width, hidden]
 * @param up a matrix [width, hidden]
 * @param down a matrix [hidden, width]
 */
public record ExpertTensors(int layer, int expert, int width, Slab gate, Slab up, Slab down) {

    /** An expert with tensors of its own. */
    public static ExpertTensors named(int layer, int expert, int width, int hidden, String gate, String up, String down) {
        return new ExpertTensors(layer, expert, width, Slab.whole(gate, width, hidden), Slab.whole(up, width, hidden),
                Slab.whole(down, hidden, width));
    }

    /** Whether the layer's experts share tensors, as newer files write them; such tensors can hold one width only. */
    public boolean fused() {
        return !gate.isWhole();
    }

    /**
     * The name of a tensor of this expert, once it has another number in its layer: {@code ...experts.5.up_proj.weight} becomes
     * {@code ...experts.3.up_proj.weight}. Names that hold no number, those of fused tensors, stay.
     */
    public String renumbered(String name, int number) {
        return name.replace(".experts." + expert + ".", ".experts." + number + ".");
    }
}

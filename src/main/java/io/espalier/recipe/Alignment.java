package io.espalier.recipe;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;

/**
 * What every kept expert width is a multiple of: a number of atoms, or left to the service. As JSON the number, or {@code "auto"}.
 *
 * @param atoms a power of two from 1 to {@link PruningRecipe#MAX_ALIGNMENT}; 0 for auto
 */
public record Alignment(int atoms) {

    /** Chosen from the model's widths and dtype when it is opened. */
    public static final Alignment AUTO = new Alignment(0);

    /** Every width will do. */
    public static final Alignment NONE = new Alignment(1);

    private static final String AUTO_WORD = "auto";

    @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
    static Alignment read(Object given) {
        if (AUTO_WORD.equals(given)) {
            return AUTO;
        }
        // why not 0 as it stands: that number is no way to say auto
        return given instanceof Number number ? new Alignment(number.intValue() == 0 ? -1 : number.intValue()) : new Alignment(-1);
    }

    public boolean isAuto() {
        return atoms == 0;
    }

    /** As in an order. */
    @JsonValue
    public Object json() {
        return isAuto() ? AUTO_WORD : (Object) atoms;
    }

    boolean isAllowed() {
        return isAuto() || atoms >= 1 && atoms <= PruningRecipe.MAX_ALIGNMENT && Integer.bitCount(atoms) == 1;
    }
}

package io.espalier.calibration;

/** What a sweep can count about each atom of a routed expert, over the tokens routed to it. */
public enum Moment {
    /** Sum of a^2, with a the input of the down projection. */
    ACTIVATION_SQUARED,
    /** Sum of (dL/da)^2, with L the sum-reduced loss; needs the reverse sweep. */
    GRADIENT_SQUARED
}

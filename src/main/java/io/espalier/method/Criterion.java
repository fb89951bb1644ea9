package io.espalier.method;

import java.util.EnumSet;
import java.util.Set;

import io.espalier.calibration.Moment;
import io.espalier.recipe.MethodChoice;

/** A published way to say how much each atom matters: which statistics it needs, and what it makes of them. */
public sealed interface Criterion permits Heapr, Activation, Frequency, Magnitude, RandomDraw {

    /** What the sweep has to count beside routed tokens; meaningless when the method sees no tokens. */
    default Set<Moment> moments() {
        return EnumSet.noneOf(Moment.class);
    }

    /** Whether whole experts go or stay, instead of atoms. */
    default boolean wholeExperts() {
        return false;
    }

    /**
     * A score for every atom; higher stays longer.
     *
     * @throws io.espalier.transformer.NotFiniteException when a score is NaN
     */
    Scores score(Evidence evidence);

    /** The criterion that an order names. */
    static Criterion of(MethodChoice choice) {
        return switch (choice.name()) {
            case HEAPR -> new Heapr(choice.unrouted(), choice.tokenCountExponent().doubleValue());
            case ACTIVATION -> new Activation(choice.unrouted(), choice.tokenCountExponent().doubleValue());
            case FREQUENCY -> new Frequency();
            case MAGNITUDE -> new Magnitude();
            case RANDOM -> new RandomDraw(choice.seed());
        };
    }
}

package io.espalier.job;

import java.util.Locale;

import jakarta.persistence.AttributeConverter;
import jakarta.persistence.Converter;

import io.espalier.recipe.Phase;

/** A phase in SQL is the same lower-case word as in JSON. */
@Converter(autoApply = true)
class PhaseColumn implements AttributeConverter<Phase, String> {

    static String word(Phase phase) {
        return phase == null ? null : phase.name().toLowerCase(Locale.ROOT);
    }

    @Override
    public String convertToDatabaseColumn(Phase phase) {
        return word(phase);
    }

    @Override
    public Phase convertToEntityAttribute(String text) {
        return text == null ? null : Phase.valueOf(text.toUpperCase(Locale.ROOT));
    }
}

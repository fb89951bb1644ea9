package io.espalier.catalog;

import java.util.Locale;

import jakarta.persistence.AttributeConverter;
import jakarta.persistence.Converter;

import com.fasterxml.jackson.annotation.JsonValue;

/** How a name came into the catalog. */
public enum Kind {
    /** Bundled with the service and laid out by it at every start. */
    DEMO,
    /** Put there by somebody. */
    REGISTERED;

    /** As it travels and is stored. */
    @JsonValue
    public String json() {
        return name().toLowerCase(Locale.ROOT);
    }

    static Kind of(String text) {
        return valueOf(text.toUpperCase(Locale.ROOT));
    }

    @Converter(autoApply = true)
    static class Column implements AttributeConverter<Kind, String> {
        @Override
        public String convertToDatabaseColumn(Kind kind) {
            return kind == null ? null : kind.json();
        }

        @Override
        public Kind convertToEntityAttribute(String text) {
            return text == null ? null : valueOf(text.toUpperCase(Locale.ROOT));
        }
    }
}

package io.espalier.api;

import java.math.BigDecimal;
import java.util.Set;

import tools.jackson.databind.JsonNode;

/** What stood there, fit to be said back. */
final class Given {

    /** Digits after the point (or zeros before it) beyond which a number is an attack on the arithmetic, not a figure. */
    static final int MAX_SCALE = 30;

    private static final int MAX_LENGTH = 120;
    private static final Set<Byte> TROUBLE = Set.of(Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.LINE_SEPARATOR,
            Character.PARAGRAPH_SEPARATOR);

    private Given() {}

    /** The value as text: numbers as written, strings quoted where it matters that they are strings. */
    static String of(JsonNode node, boolean quoted) {
        String text = switch (node.getNodeType()) {
            case OBJECT -> "an object";
            case ARRAY -> node.isEmpty() ? "an empty array" : "an array";
            case MISSING -> null;
            case STRING -> quoted ? '"' + node.stringValue() + '"' : node.stringValue();
            default -> node.isBigDecimal() ? sayable(node.decimalValue()) : node.asString("null");
        };
        return text == null ? null : printable(text);
    }

    static boolean storable(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == 0 || Character.isLowSurrogate(c)) {
                return false;
            }
            if (Character.isHighSurrogate(c)) {
                i++;
                if (i == text.length() || !Character.isLowSurrogate(text.charAt(i))) {
                    return false;
                }
            }
        }
        return true;
    }

    /** Shortened, and every character that could trouble a terminal, an encoder or a reader's eye (text that runs backwards) shown as a question mark. */
    static String printable(String text) {
        int end = Math.min(text.length(), MAX_LENGTH);
        StringBuilder printable = new StringBuilder(end);
        for (int i = 0; i < end; i++) {
            char c = text.charAt(i);
            printable.append(TROUBLE.contains((byte) Character.getType(c)) ? '?' : c);
        }
        return end < text.length() ? printable.append('…').toString() : printable.toString();
    }

    static boolean beyondMeasure(BigDecimal number) {
        return Math.abs((long) number.scale()) > MAX_SCALE;
    }

    private static String sayable(BigDecimal number) {
        return beyondMeasure(number) ? number.toString() : number.toPlainString();
    }
}

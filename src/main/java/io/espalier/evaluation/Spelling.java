package io.espalier.evaluation;

import java.util.stream.IntStream;

import io.espalier.corpus.Tokenizer;

/**
 * The text of a prompt and of what follows it. Both are spelled together and then parted, because a token may hold half a character, and because some
 * tokenizers spell a beginning differently: where the prompt ends within a character, all of it belongs to what follows.
 */
final class Spelling {

    private final Tokenizer tokenizer;
    private final int[] ids;
    private final String prompt;

    /**
     * @param tokenizer {@code null} where there is none
     * @param reference what the corpus goes on with
     */
    Spelling(Tokenizer tokenizer, int[] ids, int[] reference) {
        this.tokenizer = tokenizer;
        this.ids = ids;
        this.prompt = tokenizer == null ? null : common(tokenizer.decode(ids), tokenizer.decode(joined(ids, reference)));
    }

    /** The prompt's whole characters; {@code null} without a tokenizer. */
    String prompt() {
        return storable(prompt);
    }

    /** What follows the prompt; a last character that is not all there is U+FFFD. {@code null} without a tokenizer. */
    String behind(int[] following) {
        if (tokenizer == null) {
            return null;
        }
        String whole = tokenizer.decode(joined(ids, following));
        return storable(whole.startsWith(prompt) ? whole.substring(prompt.length()) : tokenizer.decode(following));
    }

    private static String common(String a, String b) {
        int length = 0;
        while (length < a.length() && length < b.length() && a.charAt(length) == b.charAt(length)) {
            length++;
        }
        return a.substring(0, length > 0 && Character.isHighSurrogate(a.charAt(length - 1)) ? length - 1 : length);
    }

    /** The database's JSON holds no U+0000. */
    private static String storable(String text) {
        return text == null ? null : text.replace('\0', '\uFFFD');
    }

    private static int[] joined(int[] one, int[] other) {
        return IntStream.concat(IntStream.of(one), IntStream.of(other)).toArray();
    }
}

package io.espalier.recipe;

import java.math.BigDecimal;
import java.util.List;
import java.util.stream.Stream;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonInclude;

/**
 * Which text. Exactly one of name, path and text is given; a bare JSON string is a name.
 *
 * @param name a registered corpus
 * @param path an absolute path of a file under a configured root: {@code .jsonl} (one object a line), {@code .safetensors} (one integer tensor
 *     [windows, length], token ids ready to use), anything else UTF-8 text
 * @param text the text itself
 * @param field the field that holds the text in each line of a {@code .jsonl} file; {@code text} when absent
 * @param mix what the name of a mixture stands for, in place of path and text; no order can say it
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record CorpusRef(String name, String path, String text, String field, List<Part> mix) {

    /**
     * A part of a mixture.
     *
     * @param corpus by path or text
     * @param weight its share, more than 0; only the ratio between parts counts
     */
    public record Part(CorpusRef corpus, BigDecimal weight) {}

    @JsonCreator(mode = JsonCreator.Mode.PROPERTIES)
    public CorpusRef {
        mix = mix == null ? null : List.copyOf(mix);
    }

    /** No mixture. */
    public CorpusRef(String name, String path, String text, String field) {
        this(name, path, text, field, null);
    }

    @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
    public static CorpusRef named(String name) {
        return new CorpusRef(name, null, null, null);
    }

    public static CorpusRef at(String path) {
        return new CorpusRef(null, path, null, null);
    }

    public static CorpusRef inline(String text) {
        return new CorpusRef(null, null, text, null);
    }

    public static CorpusRef mixed(List<Part> parts) {
        return new CorpusRef(null, null, null, null, parts);
    }

    /** Whether it holds token ids, so that no tokenizer is needed. */
    @JsonIgnore
    public boolean isReady() {
        return mix == null ? path != null && path.endsWith(".safetensors") : mix.stream().allMatch(part -> part.corpus.isReady());
    }

    /** The texts that it is made of: itself, or those of its parts. */
    public Stream<CorpusRef> leaves() {
        return mix == null ? Stream.of(this) : mix.stream().flatMap(part -> part.corpus.leaves());
    }

    void violations(String at, List<Violation> found) {
        long given = Stream.of(name, path, text).filter(x -> x != null).count();
        if (given != 1) {
            found.add(new Violation(at, given + " of name, path and text", "exactly one of them"));
        }
        if (field != null && (path == null || !path.endsWith(".jsonl"))) {
            found.add(new Violation(at + ".field", field, "absent, only a .jsonl path has fields"));
        }
    }
}

package io.espalier.plan;

import java.util.List;
import java.util.SortedSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import io.espalier.recipe.Loadability;

/**
 * Which engines open a model of some shape. Derived from the engines' sources and documentation (named in the ADR on layouts); no engine was run, and what
 * was not found there is not claimed.
 */
public final class Compatibility {

    public static final String TRANSFORMERS_4 = "transformers 4";
    public static final String TRANSFORMERS_5 = "transformers 5";
    public static final String VLLM = "vLLM";
    public static final String SGLANG = "SGLang";
    public static final String LLAMA_CPP = "llama.cpp";

    private static final String TRUST = "trust_remote_code=True, which lets transformers run the modeling_espalier_*.py of this model";
    private static final int LARGEST_SPLIT = 8;
    private static final int K_QUANT = 256;
    private static final int QUANT = 32;

    private final ModelShape shape;
    private final SortedSet<Integer> widths;
    private final boolean foreseen;

    private Compatibility(ModelShape shape, boolean foreseen) {
        this.shape = shape;
        this.widths = shape.distinctWidths();
        this.foreseen = foreseen;
    }

    /** One answer for each engine, always in the same order. */
    public static List<Loadability> of(ModelShape shape) {
        return answers(new Compatibility(shape, false));
    }

    /** The same for a model to come: that its widths will differ is known, how many there will be is not. */
    public static List<Loadability> foreseen(ModelShape shape) {
        return answers(new Compatibility(shape, true));
    }

    private static List<Loadability> answers(Compatibility all) {
        return List.of(all.transformers4(), all.transformers5(), all.server(VLLM), all.server(SGLANG), all.llamaCpp());
    }

    private Loadability transformers4() {
        String engine = TRANSFORMERS_4;
        if (special()) {
            return byModelingFile(engine, "the stock classes build every expert with the one width that config.json says for the model");
        }
        if (shape.dialect() != ModelShape.Dialect.PER_EXPERT) {
            return Loadability.no(engine, "it builds a module an expert, and the experts of a layer lie in two fused tensors here");
        }
        return stockClass(engine);
    }

    private Loadability transformers5() {
        String engine = TRANSFORMERS_5;
        if (special()) {
            return byModelingFile(engine, shape.oneWidthALayer() && !shape.empty()
                    ? "per_layer_config records a width a layer, and the stock classes go on building every layer with the model's"
                    : "it joins the experts of a layer into one tensor, which holds one width");
        }
        return switch (shape.dialect()) {
            case PER_EXPERT, FUSED -> stockClass(engine);
            case FUSED_ELSEWHERE, MIXED -> Loadability.no(engine, "no conversion from these tensor names was found");
        };
    }

    private Loadability stockClass(String engine) {
        if (shape.fp8Block() == ModelShape.FP8_ROWS) {
            return Loadability.no(engine, "its FP8 weights have scales in blocks, and here every row has its own");
        }
        if (deepseek()) {
            String files = shape.ownCode()
                    ? "trust_remote_code=True, which lets it run the modeling_deepseek.py of this model"
                    : "modeling_deepseek.py and configuration_deepseek.py of the base model beside these files, and trust_remote_code=True";
            return Loadability.needs(engine, files, "it has no class for model_type deepseek; the base model brings its own, written for"
                    + " transformers 4");
        }
        if (shape.fp8Block() > 0) {
            return Loadability.needs(engine, "a GPU of compute capability 9 or newer",
                    "all experts have the width " + width() + ", and its FP8 in blocks asks for such a GPU");
        }
        return Loadability.stock(engine, saidWithTheStockKey());
    }

    private Loadability byModelingFile(String engine, String why) {
        if (shape.modeling()) {
            return Loadability.needs(engine, TRUST, why);
        }
        String missing = shape.fp8Block() != ModelShape.NOT_FP8
                ? "; the modeling file that would read them does not read FP8, so none was written"
                : "; a modeling file needs the base model's modeling_deepseek.py, which was not among its files";
        return Loadability.no(engine, why + missing);
    }

    /** vLLM and SGLang ask for the same: their fused mixture of experts came from one source. */
    private Loadability server(String engine) {
        if (shape.sharedWidthAside()) {
            return Loadability.no(engine, "it computes the shared expert's width from the routed experts', and here no integer gives it");
        }
        if (!oneWidth()) {
            return Loadability.no(engine, "its fused mixture of experts has one width for all experts of the model, and here they have "
                    + (foreseen ? "several" : shape.empty() ? "none" : widths.size()));
        }
        if (shape.fp8Block() > 0 && width() % shape.fp8Block() != 0) {
            return Loadability.no(engine, "it refuses FP8 in blocks of " + shape.fp8Block() + " where the width is no multiple, and "
                    + width() + " is none");
        }
        if (shape.fp8Block() == ModelShape.FP8_ROWS) {
            return Loadability.needs(engine, "an FP8 scheme with a scale a row named in quantization_config",
                    "quant_method fp8 was found to read scales in blocks or one a tensor");
        }
        String why = saidWithTheStockKey() + "; tensor parallel sizes that divide it: " + splits();
        if (deepseek() && shape.dialect() == ModelShape.Dialect.PER_EXPERT) {
            String files = shape.ownCode()
                    ? "trust in remote code, which lets it read the configuration_deepseek.py of this model"
                    : "configuration_deepseek.py of the base model beside these files, and trust in remote code";
            return Loadability.needs(engine, files, "it has the class, but takes the configuration from transformers, which has none for"
                    + " model_type deepseek; " + why);
        }
        return shape.dialect() == ModelShape.Dialect.PER_EXPERT
                ? Loadability.stock(engine, why)
                : Loadability.needs(engine, "a version whose loader for " + shape.modelType() + " reads fused expert tensors",
                        "the loader looked at maps tensors an expert; " + why);
    }

    private String splits() {
        int block = Math.max(1, shape.fp8Block());
        return IntStream.rangeClosed(1, Math.min(LARGEST_SPLIT, shape.experts()))
                .filter(size -> width() % size == 0 && width() / size % block == 0)
                .mapToObj(String::valueOf).collect(Collectors.joining(", "));
    }

    private Loadability llamaCpp() {
        if (shape.sharedWidthAside() || !oneWidth()) {
            return Loadability.no(LLAMA_CPP, oneWidth()
                    ? "it computes the shared expert's width from the routed experts', and here no integer gives it"
                    : "its converter stacks the experts of a layer and writes one expert width for the model");
        }
        boolean qwen = shape.modelType().startsWith("qwen");
        if (shape.dialect() != ModelShape.Dialect.PER_EXPERT && !(qwen && shape.dialect() == ModelShape.Dialect.FUSED)) {
            return Loadability.no(LLAMA_CPP, "its converter for " + shape.modelType() + " was not found to read fused expert tensors");
        }
        if (shape.fp8Block() == ModelShape.FP8_ROWS) {
            return Loadability.no(LLAMA_CPP,
                    "its converter was found to dequantise FP8 with scales in blocks, and here every row has its own");
        }
        String quants = width() % K_QUANT == 0
                ? "K-quants fit"
                : width() % QUANT == 0
                        ? "K-quants of the down projection fall back to types with blocks of " + QUANT
                                + ", as their width is no multiple of "
                                + K_QUANT
                        : "the down projection stays in F16 when quantised, as its width is no multiple of " + QUANT;
        return Loadability.needs(LLAMA_CPP, "conversion with convert_hf_to_gguf.py", saidWithTheStockKey() + "; " + quants);
    }

    /** Whether no stock class has these shapes. */
    private boolean special() {
        return !oneWidth() || shape.sharedWidthAside();
    }

    private boolean deepseek() {
        return shape.modelType().equals("deepseek");
    }

    /** Whether there is one that stock classes build. */
    private boolean oneWidth() {
        return widths.size() == 1 && !shape.empty();
    }

    private int width() {
        return widths.first();
    }

    private String saidWithTheStockKey() {
        return "all experts have one width, " + width() + ", said with the stock key";
    }
}

package io.espalier.api;

/** Orders as strangers write them. */
final class Posted {

    static final String SHORTEST = """
            {"model": "tiny-qwen2moe", "calibration": {"corpus": {"text": "In the beginning"}}, "budget": {"ratio": 0.25}}""";

    static final String COMPLETE = """
            {"model": "tiny-qwen2moe", "method": {"name": "heapr", "unrouted": "prune", "scope": "layer", "token_count_exponent": 0.5},
             "calibration": {"corpus": {"text": "In the beginning"}, "sequences": 4, "sequence_length": 32, "seed": -7},
             "budget": {"ratio": 0.250, "ratio_of": "bytes"}, "layout": "uniform", "alignment": 8, "allow_empty_experts": true,
             "evaluation": {"corpus": {"text": "God created the heaven"}, "windows": 2, "sequence_length": 16, "random_control": false}}""";

    private Posted() {}
}

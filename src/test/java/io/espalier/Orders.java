package io.espalier;

import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.stream.IntStream;

import io.espalier.recipe.Budget;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Slice;
import io.espalier.recipe.Slicing;

/** Orders that tests give. */
public final class Orders {

    private Orders() {}

    /** A full order, with a ratio whose last digit is a zero. */
    public static PruningRecipe recipe() {
        return new PruningRecipe("tiny-qwen2moe", MethodChoice.of(MethodName.HEAPR),
                new Calibration(CorpusRef.named("kjv-train"), 8, 64, 0L),
                new Budget(new BigDecimal("0.90"), null), Layout.UNIFORM, 8, false,
                new Evaluation(CorpusRef.named("kjv-test"), 4, null, true), null);
    }

    /** The same, of a project and with a priority. */
    public static PruningRecipe recipe(String project, int priority) {
        PruningRecipe order = recipe();
        return new PruningRecipe(order.model(), order.method(), order.calibration(), order.budget(), order.layout(), order.alignment(),
                order.tensorParallel(), order.allowEmptyExperts(), order.evaluation(), order.precision(), order.furtherOutputs(), project,
                priority,
                order.protections(), order.scoreSet());
    }

    /** A calibration set of so many windows of 64 tokens, a slice each. */
    public static Slicing slicing(int slices) {
        return new Slicing("f".repeat(64), 1, 64, IntStream.range(0, slices).mapToObj(i -> new Slice(i, i + 1)).toList());
    }

    /** The bundled demo, and a text. */
    public static ResolvedInputs inputs() {
        Path demo = Path.of("src/main/resources/demo").toAbsolutePath();
        return new ResolvedInputs(demo.resolve("tiny-qwen2moe").toString(), CorpusRef.at(demo.resolve("text/kjv-train.txt").toString()),
                CorpusRef.inline("In the beginning"));
    }
}

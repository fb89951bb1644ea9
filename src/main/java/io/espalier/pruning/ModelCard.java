package io.espalier.pruning;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Properties;

import io.espalier.checkpoint.JsonFile;
import io.espalier.plan.ChosenAlignment;
import io.espalier.plan.KeepPlan;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Layout;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a published model says of itself: {@code README.md} for people, {@code pruning-manifest.json} for programs, {@code pruning-plan.json} with every
 * kept atom, {@code compatibility.json} with the engines that open it. No clock, no host, no job id: the same order gives the same bytes.
 */
final class ModelCard {

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private ModelCard() {}

    static void write(Path directory, PruningRecipe recipe, String baseModel, KeepPlan plan, PruningResult result,
            ChosenAlignment alignment) {
        ObjectNode manifest = JSON.createObjectNode();
        manifest.put("format", 1);
        manifest.put("espalier", version());
        manifest.set("recipe", JSON.valueToTree(recipe.withTexts(text -> "sha256:" + Sha256.of(text))));
        ObjectNode figures = JSON.valueToTree(result);
        figures.remove("continuations");
        manifest.set("result", figures);
        manifest.putObject("alignment").put("atoms", alignment.atoms()).put("why", alignment.why());
        JsonFile.write(directory.resolve("pruning-manifest.json"), manifest);
        WrittenShape.write(directory, result.compatibility());
        try {
            Files.writeString(directory.resolve("pruning-plan.json"), plan.toJson() + "\n");
            Files.writeString(directory.resolve("README.md"), card(recipe, baseModel, plan, result));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String card(PruningRecipe recipe, String baseModel, KeepPlan plan, PruningResult result) {
        String method = recipe.method().name().json();
        StringBuilder card = new StringBuilder();
        card.append("---\nbase_model: ").append(baseModel).append("\nlibrary_name: transformers\ntags:\n- pruned\n- mixture-of-experts\n- ")
                .append(method)
                .append("\n- espalier\n---\n\n");
        card.append("# ").append(baseModel).append(", pruned\n\n");
        card.append("Routed experts ").append(plan.removedExperts() > 0 ? "taken out" : "narrowed")
                .append(" by [Espalier](pruning-manifest.json) with the criterion `").append(method).append("`: ")
                .append(budget(recipe.budget())).append(", layout `").append(name(recipe.layout())).append("`, alignment ")
                .append(result.achieved().alignment())
                .append(recipe.tensorParallel() == 1 ? "" : " on each of " + recipe.tensorParallel() + " devices")
                .append(". Nothing else was changed.\n\n");
        card.append("| | before | after |\n|---|---:|---:|\n");
        line(card, "parameters", result.before().totalParameters(), result.after().totalParameters());
        line(card, "active parameters a token", result.before().activeParameters(), result.after().activeParameters());
        line(card, "routed atoms", result.before().routedAtoms(), result.after().routedAtoms());
        line(card, "tensor bytes", result.before().bytes(), result.after().bytes());
        if (result.perplexity() != null) {
            card.append(String.format(Locale.ROOT, "| perplexity (%d predicted tokens) | %.4f | %.4f |%n",
                    result.perplexity().predictedTokens(),
                    result.perplexity().before(), result.perplexity().after()));
            if (result.perplexity().randomControl() != null) {
                card.append(String.format(Locale.ROOT, "| perplexity, same budget at random | | %.4f |%n",
                        result.perplexity().randomControl()));
            }
        }
        card.append("\nExpert widths: ").append(result.achieved().minWidth()).append(" to ").append(result.achieved().maxWidth())
                .append(". ");
        card.append(shapes(recipe.layout(), plan)).append("\n\n| engine | loads | needs |\n|---|---|---|\n");
        result.compatibility().forEach(engine -> card.append("| ").append(engine.engine()).append(" | ").append(name(engine.loads()))
                .append(" | ").append(engine.needs() == null ? "" : engine.needs()).append(" |\n"));
        card.append("\nFrom the engines' sources and documentation; none was run. `compatibility.json` says why.\n");
        card.append("\n`pruning-plan.json` lists every kept atom, `SHA256SUMS` sums every file (`sha256sum -c SHA256SUMS`).\n");
        return card.toString();
    }

    private static String shapes(Layout layout, KeepPlan plan) {
        return switch (layout) {
            case UNIFORM -> "All experts have one width, which `config.json` says with the stock key.";
            case PER_LAYER -> "The experts of a layer have one width, which `config.json` says under `per_layer_config`.";
            case RAGGED ->
                "Experts have different widths, which `config.json` lists under `espalier`; stock loaders expect one width and will"
                        + " refuse the shapes.";
            case EXPERTS ->
                plan.removedExperts() + " of " + plan.experts().size() + " experts are gone, their rows of the router too; those"
                        + " that stay have moved up in number, and `pruning-plan.json` says which they were.";
        };
    }

    private static void line(StringBuilder card, String what, long before, long after) {
        card.append("| ").append(what).append(" | ").append(before).append(" | ").append(after).append(" |\n");
    }

    private static String budget(Budget budget) {
        return budget.target() == null
                ? "ratio " + budget.amount()
                : "down to at most " + budget.amount() + " " + name(budget.unit());
    }

    private static String name(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    private static String version() {
        Properties info = new Properties();
        try (InputStream in = ModelCard.class.getResourceAsStream("/META-INF/build-info.properties")) {
            if (in != null) {
                info.load(in);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return info.getProperty("build.version", "unknown");
    }
}

package io.espalier.pruning;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Properties;

import io.espalier.checkpoint.JsonFile;
import io.espalier.plan.KeepPlan;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Layout;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.PruningResult;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a published model says of itself: {@code README.md} for people, {@code pruning-manifest.json} for programs, {@code pruning-plan.json} with every
 * kept atom. No clock, no host, no job id: the same order gives the same bytes.
 */
final class ModelCard {

    private static final JsonMapper JSON = JsonMapper.builder().build();

    private ModelCard() {}

    static void write(Path directory, PruningRecipe recipe, String baseModel, KeepPlan plan, PruningResult result) {
        ObjectNode manifest = JSON.createObjectNode();
        manifest.put("format", 1);
        manifest.put("espalier", version());
        manifest.set("recipe", JSON.valueToTree(recipe.withTexts(text -> "sha256:" + Sha256.of(text))));
        manifest.set("result", JSON.valueToTree(result));
        JsonFile.write(directory.resolve("pruning-manifest.json"), manifest);
        try {
            Files.writeString(directory.resolve("pruning-plan.json"), plan.toJson() + "\n");
            Files.writeString(directory.resolve("README.md"), card(recipe, baseModel, result));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String card(PruningRecipe recipe, String baseModel, PruningResult result) {
        String method = recipe.method().name().json();
        StringBuilder card = new StringBuilder();
        card.append("---\nbase_model: ").append(baseModel).append("\nlibrary_name: transformers\ntags:\n- pruned\n- mixture-of-experts\n- ")
                .append(method)
                .append("\n- espalier\n---\n\n");
        card.append("# ").append(baseModel).append(", pruned\n\n");
        card.append("Routed experts narrowed by [Espalier](pruning-manifest.json) with the criterion `").append(method).append("`: ")
                .append(budget(recipe.budget())).append(", layout `")
                .append(name(recipe.layout())).append("`, alignment ").append(recipe.alignment()).append(". Nothing else was changed.\n\n");
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
        card.append(recipe.layout() == Layout.UNIFORM
                ? "All experts have one width, which `config.json` says with the stock key.\n"
                : "Experts have different widths, which `config.json` lists under `espalier`; stock loaders expect one width and will refuse the shapes.\n");
        card.append("\n`pruning-plan.json` lists every kept atom, `SHA256SUMS` sums every file (`sha256sum -c SHA256SUMS`).\n");
        return card.toString();
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

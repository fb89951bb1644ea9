package io.espalier.catalog;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Violation;
import org.springframework.stereotype.Component;

/** Looks up what an order names: registered names, and paths under the configured roots. */
@Component
public class Catalog {

    private static final int NAMES_SAID = 50;

    private final Models models;
    private final Corpora corpora;
    private final Roots roots;

    Catalog(Models models, Corpora corpora, CatalogSettings settings) {
        this.models = models;
        this.corpora = corpora;
        this.roots = new Roots(settings.roots());
    }

    /**
     * Everything that a recipe names.
     *
     * @param found takes all that cannot be resolved, at once
     * @return what the names stand for; {@code null} when anything was found
     */
    public ResolvedInputs resolve(PruningRecipe recipe, List<Violation> found) {
        int before = found.size();
        Path model = recipe.model() == null ? null : resolveModel(recipe.model(), recipe.project(), found);
        CorpusRef calibration = null;
        if (recipe.measuresTokens() && recipe.calibration() != null) {
            calibration = resolveCorpus(recipe.calibration().corpus(), recipe.project(), "calibration.corpus", found);
        }
        CorpusRef evaluation = recipe.evaluation() == null
                ? null
                : resolveCorpus(recipe.evaluation().corpus(), recipe.project(), "evaluation.corpus", found);
        return found.size() == before && model != null ? new ResolvedInputs(model.toString(), calibration, evaluation) : null;
    }

    /**
     * Keeps what an order names from being deleted until the caller's transaction ends. Whoever deletes it waits, and looks for jobs after that.
     *
     * @param inputs as it was resolved a moment ago
     * @param found takes what was deleted or became another thing since
     */
    public void hold(PruningRecipe recipe, ResolvedInputs inputs, List<Violation> found) {
        if (!recipe.model().startsWith("/")) {
            models.hold(recipe.project(), recipe.model());
        }
        Stream.of(recipe.calibration() == null ? null : recipe.calibration().corpus(),
                recipe.evaluation() == null ? null : recipe.evaluation().corpus())
                .filter(corpus -> corpus != null && corpus.name() != null).map(CorpusRef::name).distinct().sorted()
                .forEach(name -> corpora.hold(recipe.project(), name));
        if (!inputs.equals(resolve(recipe, found)) && found.isEmpty()) {
            found.add(new Violation("model", recipe.model() + " or a text of the order, which became another at this moment",
                    "what it was when the order was read; post it again"));
        }
    }

    /**
     * A checkpoint's directory.
     *
     * @param nameOrPath a registered name, or an absolute path under a root
     * @param project whose names count
     * @param found takes what is wrong with it
     * @return the real path, or {@code null} when something was found
     */
    public Path resolveModel(String nameOrPath, String project, List<Violation> found) {
        if (nameOrPath.startsWith("/")) {
            return roots.directory(nameOrPath, "model", found);
        }
        Model model = models.find(project, nameOrPath).orElse(null);
        if (model == null) {
            found.add(new Violation("model", nameOrPath, "an absolute path, or one of the registered models "
                    + models.list(project, null, NAMES_SAID).stream().map(Model::name).collect(Collectors.joining(", "))));
            return null;
        }
        if (!model.ready()) {
            found.add(new Violation("model", nameOrPath + ", which is " + model.state().json(), switch (model.state()) {
                case UPLOADING -> "a model that is ready: send its files, then complete it";
                case FAILED -> "a model that is ready: " + model.reason();
                default -> "a model that is ready: wait until GET /v1/models/" + nameOrPath + " says so";
            }));
            return null;
        }
        if (model.inspection() != null && !model.inspection().prunable()) {
            found.add(new Violation("model", nameOrPath, "a model that can be pruned: " + String.join("; ", model.inspection().reasons())));
            return null;
        }
        // why looked at again: somebody may have put a link there since
        boolean underRoot = model.source() != null && !model.source().ours();
        return underRoot ? roots.directory(model.path(), "model", found) : model.directory();
    }

    /** What the headers of the model say; {@code null} and a violation when they cannot be read. */
    public ModelFacts facts(ResolvedInputs inputs, List<Violation> found) {
        return ModelFacts.of(Path.of(inputs.modelDirectory()), found);
    }

    /**
     * A text.
     *
     * @param corpus as ordered; {@code null} and malformed ones are left to the recipe's own check
     * @param project whose names are meant
     * @param field where it stands in the order
     * @param found takes what is wrong with it
     * @return the same with a real path in place of a name, or {@code null} when something was found
     */
    public CorpusRef resolveCorpus(CorpusRef corpus, String project, String field, List<Violation> found) {
        if (corpus == null) {
            return null;
        }
        if (corpus.path() != null) {
            Path file = roots.file(corpus.path(), field + ".path", found);
            return file == null ? null : new CorpusRef(null, file.toString(), null, corpus.field());
        }
        if (corpus.name() != null) {
            return corpora.find(corpus.name(), project).map(corpora::reference).orElseGet(() -> {
                found.add(new Violation(field + ".name", corpus.name(), corpora.oneOf(project)));
                return null;
            });
        }
        return corpus;
    }
}

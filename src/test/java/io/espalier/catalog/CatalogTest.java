package io.espalier.catalog;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import io.espalier.OfficeTest;
import io.espalier.Orders;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.ResolvedInputs;
import io.espalier.recipe.Violation;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.core.io.ClassPathResource;

@OfficeTest
class CatalogTest {

    @Autowired
    private Catalog catalog;
    @Autowired
    private Models models;
    @Autowired
    private Corpora corpora;
    @Autowired
    private Demo demo;
    @Autowired
    private CatalogSettings settings;
    private final List<Violation> found = new ArrayList<>();

    @Test
    void theDemoIsLaidOutAndHasNames() throws IOException {
        assertThat(models.list("default", null, 50)).extracting(Model::name).containsExactly("tiny-qwen2moe");
        assertThat(corpora.list("default")).extracting(Corpus::name).containsExactly("kjv-test", "kjv-train");
        Path model = Path.of(models.find("default", "tiny-qwen2moe").orElseThrow().path());
        assertThat(model).startsWith(settings.demo()).isDirectoryContaining(file -> file.endsWith("config.json"));
        assertThat(model.resolve("model.safetensors")).hasBinaryContent(new ClassPathResource("demo/tiny-qwen2moe/model.safetensors")
                .getContentAsByteArray());
    }

    @Test
    void aDemoFileThatWasChangedIsLaidOutAgainAndTheOthersAreLeftAlone() throws IOException {
        Path text = Path.of(corpora.find("kjv-test", "default").orElseThrow().path());
        Path other = Path.of(corpora.find("kjv-train", "default").orElseThrow().path());
        String before = Files.readString(text);
        var untouched = Files.getLastModifiedTime(other);
        Files.writeString(text, before.replace('e', 'x'));
        demo.afterSingletonsInstantiated();
        assertThat(text).hasContent(before);
        assertThat(Files.getLastModifiedTime(other)).isEqualTo(untouched);
        assertThat(text.getParent().toFile().list()).containsExactlyInAnyOrder("kjv-test.txt", "kjv-train.txt");
        Files.delete(text);
        demo.afterSingletonsInstantiated();
        assertThat(text).hasContent(before);
    }

    @Test
    void namesBecomePathsAndTextStaysText() {
        ResolvedInputs inputs = catalog.resolve(Orders.recipe(), found);
        assertThat(found).isEmpty();
        assertThat(inputs.modelDirectory()).isEqualTo(settings.demo().resolve("tiny-qwen2moe").toString());
        assertThat(inputs.calibration()).isEqualTo(CorpusRef.at(settings.demo().resolve("text/kjv-train.txt").toString()));
        assertThat(catalog.resolveCorpus(CorpusRef.inline("words"), "default", "evaluation.corpus", found))
                .isEqualTo(CorpusRef.inline("words"));
    }

    @Test
    void aPathUnderARootKeepsItsField() throws IOException {
        Path root = Files.createDirectories(settings.roots().getLast()).toRealPath();
        Files.writeString(root.resolve("lines.jsonl"), "{\"body\": \"x\"}");
        assertThat(catalog.resolveCorpus(new CorpusRef(null, root + "/lines.jsonl", null, "body"), "default", "calibration.corpus", found))
                .isEqualTo(new CorpusRef(null, root + "/lines.jsonl", null, "body"));
        assertThat(found).isEmpty();
    }

    @Test
    void everythingThatCannotBeFoundIsSaidAtOnce() {
        PruningRecipe recipe = new PruningRecipe("qwen", null, new Calibration(CorpusRef.named("wikitext2"), 1, 8, 0L), null, null, null,
                null,
                new Evaluation(CorpusRef.at("relative.txt"), 1, null, null), null);
        assertThat(catalog.resolve(recipe, found)).isNull();
        assertThat(found).containsExactly(
                new Violation("model", "qwen", "an absolute path, or one of the registered models tiny-qwen2moe"),
                new Violation("calibration.corpus.name", "wikitext2", "one of the registered corpora kjv-test, kjv-train"),
                new Violation("evaluation.corpus.path", "relative.txt", "an absolute path without .. in it"));
    }

    @Test
    void aMethodThatSeesNoTokensNeedsNoText() {
        PruningRecipe recipe = new PruningRecipe("tiny-qwen2moe", MethodChoice.of(MethodName.MAGNITUDE), null, null, null, null, null,
                null, null);
        assertThat(catalog.resolve(recipe, found))
                .isEqualTo(new ResolvedInputs(settings.demo().resolve("tiny-qwen2moe").toString(), null, null));
        assertThat(found).isEmpty();
    }
}

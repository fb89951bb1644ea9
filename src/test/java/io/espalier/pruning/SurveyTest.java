package io.espalier.pruning;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

import io.espalier.recipe.Budget;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.Layout;
import io.espalier.recipe.Loadability;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Output;
import io.espalier.recipe.Preflight.Findings;
import io.espalier.recipe.Preflight.Unknown;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.Violation;
import io.espalier.transformer.RandomModel;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What can be said before anything is computed, held against what the run then says and does. */
class SurveyTest {

    private static final Path DEMO = Path.of("src/main/resources/demo");
    private static final CorpusRef TEXT = CorpusRef.at(DEMO.resolve("text/kjv-test.txt").toAbsolutePath().toString());

    @TempDir
    Path directory;
    private final List<String> asked = new ArrayList<>();

    @Test
    void whatIsForeseenIsWhatTheRunThenMakes() throws IOException {
        PruningRecipe recipe = recipe(2, 64, "0.25", Layout.UNIFORM, List.of(new Output(Layout.RAGGED, null, null, null, null)));
        Findings found = survey(recipe, TEXT);
        PruningRun.Outcome outcome = PruningRun.execute(inputs(recipe, TEXT), Files.createDirectory(directory.resolve("work")), device(0),
                Progress.IGNORED);

        assertThat(found.violations()).isEmpty();
        assertThat(found.errorCode()).isNull();
        assertThat(found.size()).isEqualTo(outcome.result().before());
        assertThat(found.architecture()).isEqualTo("qwen2_moe");
        assertThat(found.experts()).isEqualTo(64);
        assertThat(found.outputs().getFirst().compatibility()).isEqualTo(outcome.result().compatibility());
        assertThat(found.outputs().getLast().compatibility()).extracting(Loadability::engine, Loadability::loads)
                .isEqualTo(outcome.result().further().getFirst().compatibility().stream()
                        .map(each -> Assertions.tuple(each.engine(), each.loads())).toList());
        assertThat(found.outputs().getLast().compatibility()).extracting(Loadability::why).noneMatch(why -> why.matches(".*have \\d+"));
        assertThat(bytesOfWeights(outcome.artifact())).isLessThanOrEqualTo(found.outputs().getFirst().bytes())
                .isGreaterThan(found.outputs().getFirst().bytes() * 9 / 10);
        assertThat(found.disk().enough()).isTrue();
        assertThat(found.calibration().asked()).isEqualTo(128);
        assertThat(found.calibration().found()).isGreaterThan(10_000);
        assertThat(found.calibration().all()).isTrue();
        assertThat(found.memory().plan()).containsKeys("estimated_bytes", "weights");
        assertThat(found.scores().exist()).isFalse();
        assertThat(asked).containsExactly(outcome.origin().address());
    }

    @Test
    void aScoreSetThatIsThereIsFound() {
        Findings found = Survey.of(inputs(recipe(2, 64, "0.25", Layout.RAGGED, null), TEXT), place(0, Optional.of("scr_there")));
        assertThat(found.scores().exist()).isTrue();
        assertThat(found.scores().id()).isEqualTo("scr_there");
    }

    @Test
    void everythingThatTheRunWouldRefuseIsSaidAtOnceAndAlike() {
        PruningRecipe recipe = recipe(1000, 100_000, "0.999", Layout.UNIFORM, null);
        Findings found = survey(recipe, CorpusRef.inline("In the beginning"));

        assertThat(found.errorCode()).isEqualTo(refusalOf(recipe, CorpusRef.inline("In the beginning")).code());
        assertThat(found.violations()).extracting(Violation::field).contains("calibration.sequence_length", "calibration.corpus");
        assertThat(found.violations()).extracting(Violation::given).allSatisfy(given -> assertThat(given).isNotBlank());
        assertThat(found.unknown()).extracting(Unknown::field).contains("scores.exist");
    }

    @Test
    void anUnknownTensorAndASlidingWindowAreFoundInTheHeaders() throws IOException {
        Path model = RandomModel.QWEN3_MOE.write(directory.resolve("model"), 1);
        Path config = model.resolve("config.json");
        String said = Files.readString(config);
        Files.writeString(config, said.replaceFirst("\\{", "{\"use_sliding_window\": true, \"sliding_window\": 8,"));
        Findings windowed = Survey.of(new PruningRun.Inputs(recipe(1, 8, "0.5", Layout.RAGGED, null), model, TEXT, null),
                place(0, Optional.empty()));
        assertThat(windowed.errorCode()).isEqualTo(ErrorCode.UNSUPPORTED_CONFIGURATION);
        assertThat(windowed.violations().toString()).contains("sliding_window");

        Files.writeString(config, said.replaceFirst("\"num_hidden_layers\" ?: ?\\d+", "\"num_hidden_layers\": 1"));
        Findings unknown = Survey.of(new PruningRun.Inputs(recipe(1, 8, "0.5", Layout.RAGGED, null), model, TEXT, null),
                place(0, Optional.empty()));
        assertThat(unknown.errorCode()).isEqualTo(ErrorCode.MALFORMED_CHECKPOINT);
        assertThat(unknown.violations()).hasSizeGreaterThan(1).first().extracting(Violation::given).asString().contains("unknown tensor");
    }

    @Test
    void aModelThatIsNotThereIsAFindingNotAFailure() {
        Findings found = Survey.of(new PruningRun.Inputs(recipe(1, 8, "0.5", Layout.RAGGED, null), directory.resolve("none"), TEXT, null),
                place(0, Optional.empty()));
        assertThat(found.errorCode()).isEqualTo(ErrorCode.MALFORMED_CHECKPOINT);
        assertThat(found.violations()).isNotEmpty();
    }

    @Test
    void aBudgetThatHoldsNothingNamesTheSmallestThatWould() {
        Findings found = Survey.of(inputs(recipe(2, 64, "0.25", Layout.RAGGED, null), TEXT), place(1, Optional.empty()));
        assertThat(found.errorCode()).isEqualTo(ErrorCode.OUT_OF_MEMORY);
        assertThat(found.violations().getFirst().expected()).startsWith("at least ");
        assertThat(found.memory().plan()).isNull();
    }

    @Test
    void ofALongTextOnlyTheBeginningIsRead() throws IOException {
        Path text = directory.resolve("long.txt");
        Files.writeString(text, Files.readString(Path.of(TEXT.path())).repeat(40));
        Findings enough = survey(recipe(2, 64, "0.25", Layout.RAGGED, null), CorpusRef.at(text.toString()));
        assertThat(enough.calibration().found()).isGreaterThan(128);
        assertThat(enough.calibration().all()).isFalse();
        assertThat(enough.scores().exist()).isNull();
        Findings unknown = survey(recipe(1_000_000, 128, "0.25", Layout.RAGGED, null), CorpusRef.at(text.toString()));
        assertThat(unknown.violations()).isEmpty();
        assertThat(unknown.calibration().found()).isNull();
        assertThat(unknown.unknown()).extracting(Unknown::field).contains("calibration.found");
    }

    @Test
    void aMethodThatSeesNoTokensHasScoresAllTheSame() {
        PruningRecipe recipe = new PruningRecipe("demo", MethodChoice.of(MethodName.MAGNITUDE), null,
                new Budget(new BigDecimal("0.5"), null), Layout.RAGGED, null, false, null, null);
        Findings found = survey(recipe, null);
        assertThat(found.violations()).isEmpty();
        assertThat(found.memory().slices()).isZero();
        assertThat(found.calibration()).isNull();
        assertThat(found.scores().exist()).isFalse();
    }

    private PruningException refusalOf(PruningRecipe recipe, CorpusRef corpus) {
        return Assertions.catchThrowableOfType(PruningException.class,
                () -> PruningRun.open(inputs(recipe, corpus), device(0), Progress.IGNORED));
    }

    private Findings survey(PruningRecipe recipe, CorpusRef corpus) {
        return Survey.of(inputs(recipe, corpus), place(0, Optional.empty()));
    }

    private Survey.Place place(long budget, Optional<String> known) {
        return new Survey.Place(device(budget), 0, directory.resolve("digests"), directory.resolve("not/there"), address -> {
            asked.add(address);
            return known;
        });
    }

    private static ComputeDevice device(long budget) {
        return new ComputeDevice("cpu", budget);
    }

    private static PruningRun.Inputs inputs(PruningRecipe recipe, CorpusRef corpus) {
        return new PruningRun.Inputs(recipe, DEMO.resolve("tiny-qwen2moe").toAbsolutePath(), corpus, corpus);
    }

    private static PruningRecipe recipe(int sequences, int length, String ratio, Layout layout, List<Output> further) {
        return new PruningRecipe("demo", null, new Calibration(TEXT, sequences, length, 0L), new Budget(new BigDecimal(ratio), null),
                layout,
                null, null, null, new Evaluation(TEXT, 1, 32, false), null, further, null, null, null, null);
    }

    private static long bytesOfWeights(Path artifact) throws IOException {
        return Files.size(artifact.resolve("model.safetensors"));
    }
}

package io.espalier.pruning;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

import io.espalier.architecture.Architecture;
import io.espalier.checkpoint.Checkpoint;
import io.espalier.corpus.TokenWindows;
import io.espalier.corpus.Tokenizer;
import io.espalier.evaluation.Prompts;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Continuations;
import io.espalier.recipe.Continuations.Continued;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.Evaluation;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Output;
import io.espalier.recipe.Phase;
import io.espalier.recipe.PhaseProgress;
import io.espalier.recipe.Preflight;
import io.espalier.recipe.Progress;
import io.espalier.recipe.Prompting;
import io.espalier.recipe.PruningException;
import io.espalier.recipe.PruningRecipe;
import io.espalier.recipe.Violation;
import io.espalier.transformer.Compute;
import io.espalier.transformer.Decoder;
import io.espalier.transformer.Fixture;
import io.espalier.transformer.KeptAtoms;
import io.espalier.transformer.RandomModel;
import io.espalier.transformer.SlowDecoding;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What both models say behind the same prompts, as an order asks for it, against decoding that computes everything again. */
class ContinuationsTest {

    private static final ComputeDevice CPU = new ComputeDevice("cpu", 0);
    private static final Prompting FEW = new Prompting(3, 12, 10);

    @TempDir
    Path directory;
    private Path work;

    @BeforeEach
    void makeRoom() throws IOException {
        work = Files.createDirectory(directory.resolve("work"));
    }

    /** The product's path, also for the model that has no experts to prune. */
    @ParameterizedTest
    @EnumSource
    void behindTheReferencesPromptStandsTheReferencesText(Fixture fixture) {
        JsonNode forward = JsonMapper.shared().readTree(fixture.reference("forward.json").toFile());
        int[] prompt = ints(forward.get("prompt_ids"));
        int[] greedy = ints(forward.get("greedy_ids"));
        int[] window = Arrays.copyOf(prompt, prompt.length + greedy.length);
        for (long budget : new long[]{0, smallest(fixture)}) {
            ComputeDevice device = new ComputeDevice("cpu", budget);
            try (Checkpoint checkpoint = Checkpoint.open(fixture.model()); Tokenizer tokenizer = Tokenizer.open(fixture.model())) {
                var spec = Architecture.specOf(checkpoint);
                Prompts prompts = Prompts.of(new Prompting(1, prompt.length, greedy.length), new TokenWindows(new int[][]{window}),
                        checkpoint);
                Compute compute = Speaking.plan(device, spec, 1, window.length, Compute.Precision.FLOAT32).compute();
                try (Decoder decoder = Decoder.open(checkpoint, spec, KeptAtoms.ALL, compute)) {
                    Prompts.Said said = prompts.continuedBy(decoder, PhaseProgress.IGNORED);
                    assertThat(said.ids()[0]).isEqualTo(greedy);
                    Continued compared = prompts.compared(said, said, tokenizer, 1).prompts().getFirst();
                    assertThat(compared.prompt().text() + compared.before().text()).isEqualTo(forward.get("greedy_text").stringValue());
                    assertThat(compared.tokensAgreeing()).isEqualTo(greedy.length);
                }
            }
        }
    }

    private static long smallest(Fixture fixture) {
        try (Checkpoint checkpoint = Checkpoint.open(fixture.model())) {
            PruningException small = catchThrowableOfType(PruningException.class,
                    () -> Speaking.plan(new ComputeDevice("cpu", 1), Architecture.specOf(checkpoint), 1, 40, Compute.Precision.FLOAT32));
            return Long.parseLong(small.violations().getFirst().given().replaceAll(".*take (\\d+) bytes", "$1"));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"QWEN2_MOE", "DEEPSEEK_MOE"})
    void bothModelsOfAnOrderSayWhatTheSlowTwinSays(Fixture fixture) throws IOException {
        PruningRecipe recipe = recipe(fixture, FEW, List.of(new Output(Layout.EXPERTS, null, null, null, null)));
        List<String> notes = new ArrayList<>();
        List<Progress.Tick> ticks = new ArrayList<>();
        PruningRun.Outcome outcome = PruningRun.execute(inputs(fixture, recipe), work, CPU, heard(notes, ticks));

        Continuations said = outcome.result().continuations();
        Continuations further = outcome.result().further().getFirst().continuations();
        assertThat(said.prompts()).extracting(Continued::window).containsExactly(0, 2, 5);
        for (int i = 0; i < 3; i++) {
            Continued each = said.prompts().get(i);
            Continued other = further.prompts().get(i);
            assertThat(each.before().ids()).isEqualTo(slow(fixture.model(), each.prompt().ids(), 10)).isEqualTo(other.before().ids());
            assertThat(each.after().ids()).isEqualTo(slow(outcome.artifact(), each.prompt().ids(), 10));
            assertThat(other.after().ids()).isEqualTo(slow(outcome.furtherArtifacts().getFirst(), each.prompt().ids(), 10));
            int agreeing = each.tokensAgreeing();
            assertThat(each.before().ids().subList(0, agreeing)).isEqualTo(each.after().ids().subList(0, agreeing));
            assertThat(agreeing == 10 || !each.before().ids().get(agreeing).equals(each.after().ids().get(agreeing))).isTrue();
            assertThat(each.prompt().ids()).hasSize(12);
            assertThat(each.reference().ids()).hasSize(10);
            try (Tokenizer tokenizer = Tokenizer.open(fixture.model())) {
                assertThat(each.prompt().text() + each.reference().text()).isEqualTo(tokenizer.decode(
                        Stream.of(each.prompt(), each.reference()).flatMapToInt(p -> p.ids().stream().mapToInt(id -> id)).toArray()));
            }
        }
        assertThat(said.tokensAgreeing()).isEqualTo(said.prompts().stream().mapToLong(Continued::tokensAgreeing).sum()).isLessThan(30);
        assertThat(said.agreeingShare()).isEqualTo(said.tokensAgreeing() / 30.0);
        assertThat(said.seconds()).isPositive();
        assertThat(notes).filteredOn("continued"::equals).hasSize(2);
        assertThat(ticks).extracting(Progress.Tick::percent).isSorted();
        assertThat(ticks.getLast().phase()).isEqualTo(Phase.CHECK);
        assertThat(ticks.getLast().percent()).isCloseTo(99, org.assertj.core.api.Assertions.within(1e-9));

        // pieces of the text that was evaluated on are nothing to publish
        assertThat(Files.readString(outcome.artifact().resolve("pruning-manifest.json"))).contains("\"prompt_tokens\"")
                .doesNotContain("tokens_agreeing");

        // whoever does it again says the same, in whatever memory
        PruningRun.Outcome again = PruningRun.execute(inputs(fixture, recipe), Files.createDirectory(directory.resolve("again")),
                new ComputeDevice("cpu", 512L << 20), Progress.IGNORED);
        assertThat(again.result().continuations().prompts()).isEqualTo(said.prompts());
        assertThat(again.result().digests()).isEqualTo(outcome.result().digests());
    }

    @Test
    void aRunIsStoppedBetweenTokens() {
        PruningRecipe recipe = recipe(Fixture.QWEN2_MOE, FEW, null);
        int[] decoding = new int[1];
        Progress stopping = new Progress() {
            @Override
            public Answer tick(Tick tick) {
                return tick.phase() == Phase.CHECK && tick.percent() > 95 && ++decoding[0] == 7 ? Answer.STOP : Answer.GO_ON;
            }

            @Override
            public void note(String type, String message, Map<String, Object> data) {}
        };
        assertThatThrownBy(() -> PruningRun.execute(inputs(Fixture.QWEN2_MOE, recipe), work, CPU, stopping))
                .isInstanceOf(Progress.StoppedException.class);
        assertThat(decoding[0]).isEqualTo(7);
    }

    @Test
    void noMoreIsReadThanForeseen() {
        PruningRecipe recipe = recipe(Fixture.QWEN2_MOE, FEW, null);
        PruningRecipe without = recipe(Fixture.QWEN2_MOE, null, null);
        Survey.Place place = new Survey.Place(CPU, 0, directory.resolve("digests"), work, _ -> Optional.empty());
        Preflight.Findings found = Survey.of(inputs(Fixture.QWEN2_MOE, recipe), place);
        assertThat(found.violations()).isEmpty();
        assertThat(found.continuations().tokens()).isEqualTo(2 * 3 * 10);
        assertThat(found.continuations().memoryBytes()).isPositive();
        assertThat(Survey.of(inputs(Fixture.QWEN2_MOE, without), place).continuations()).isNull();
        try (Checkpoint checkpoint = Checkpoint.open(Fixture.QWEN2_MOE.model())) {
            var spec = Architecture.specOf(checkpoint);
            Prompts prompts = Prompts.of(FEW, new TokenWindows(new int[][]{window(1), window(2), window(3)}), checkpoint);
            long before = checkpoint.bytesRead();
            try (Decoder decoder = Decoder.open(checkpoint, spec, KeptAtoms.ALL,
                    Speaking.plan(CPU, spec, 3, 22, Compute.Precision.FLOAT32).compute())) {
                prompts.continuedBy(decoder, PhaseProgress.IGNORED);
            }
            long read = checkpoint.bytesRead() - before;
            assertThat(read).isLessThanOrEqualTo(found.continuations().readBytes() / 2)
                    .isGreaterThan(found.continuations().readBytes() / 4);
        }
    }

    private static int[] window(int seed) {
        return new java.util.Random(seed).ints(22, 0, 2000).toArray();
    }

    @Test
    void memoryThatHoldsTheModelAndNotThePromptsIsRefusedByName() {
        try (Checkpoint checkpoint = Checkpoint.open(Fixture.QWEN2_MOE.model())) {
            assertThatThrownBy(() -> Speaking.plan(new ComputeDevice("cpu", 1000), Architecture.specOf(checkpoint), 4, 64,
                    Compute.Precision.FLOAT32)).isInstanceOfSatisfying(PruningException.class, refused -> {
                        assertThat(refused.code()).isEqualTo(ErrorCode.OUT_OF_MEMORY);
                        assertThat(refused.violations()).extracting(Violation::field).containsExactly("evaluation.continuations");
                    });
        }
    }

    @Test
    void allThatIsWrongWithPromptsIsSaidAtOnce() {
        PruningRecipe recipe = new PruningRecipe("m", MethodChoice.of(MethodName.MAGNITUDE), null, new Budget(new BigDecimal("0.5"), null),
                null, null, null, new Evaluation(CorpusRef.inline("x"), 64, 128, false, new Prompting(17, 513, 0)), null);
        assertThat(recipe.violations()).extracting(Violation::field).containsExactly("evaluation.continuations.prompts",
                "evaluation.continuations.prompt_tokens", "evaluation.continuations.tokens");
        Evaluation few = new Evaluation(CorpusRef.inline("x"), 2, 40, false, new Prompting(3, null, null));
        PruningRecipe narrow = new PruningRecipe("m", MethodChoice.of(MethodName.MAGNITUDE), null, new Budget(new BigDecimal("0.5"), null),
                null, null, null, few, null);
        assertThat(narrow.violations()).extracting(Violation::toString).hasSize(2)
                .anySatisfy(said -> assertThat(said).contains("evaluation.windows, 2"))
                .anySatisfy(said -> assertThat(said).contains("32 of the prompt and 32 behind it", "together at most 40"));
        assertThat(new Evaluation(CorpusRef.inline("x"), 2, null, null, new Prompting(null, null, null)).continuations())
                .isEqualTo(new Prompting(2, 32, 32));
    }

    /** The order leaves the length to the model: 64 positions. */
    @Test
    void promptsLongerThanTheModelsPositionsAreRefusedByName() {
        PruningRecipe recipe = new PruningRecipe("m", MethodChoice.of(MethodName.MAGNITUDE), null, new Budget(new BigDecimal("0.5"), null),
                null, null, null, new Evaluation(ids(Fixture.QWEN2_MOE), 2, null, false, new Prompting(1, 60, 5)), null);
        assertThat(recipe.violations()).isEmpty();
        PruningRun.Inputs inputs = new PruningRun.Inputs(recipe, RandomModel.OLMOE.write(directory.resolve("model"), 1), null,
                ids(Fixture.QWEN2_MOE));
        assertThatThrownBy(() -> PruningRun.open(inputs, CPU, Progress.IGNORED)).isInstanceOf(PruningException.class)
                .hasMessageContaining("evaluation.continuations.tokens: 60 of the prompt and 5 behind it")
                .hasMessageContaining("together at most 64");
        Survey.Place place = new Survey.Place(CPU, 0, directory.resolve("digests"), work, _ -> Optional.empty());
        assertThat(Survey.of(inputs, place).violations()).extracting(Violation::field).contains("evaluation.continuations.tokens");
    }

    @Test
    void aCharacterThatAPromptCutsInTwoBelongsToWhatFollows() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(Fixture.LLAMA.model()); Tokenizer tokenizer = Tokenizer.open(Fixture.LLAMA.model())) {
            int[] ids = tokenizer.encode("of\u20ac God");
            int cut = 0;
            while (!tokenizer.decode(Arrays.copyOf(ids, cut)).contains("\uFFFD")) {
                cut++;
            }
            Prompts prompts = Prompts.of(new Prompting(1, cut, ids.length - cut), new TokenWindows(new int[][]{ids}), checkpoint);
            int[] nul = tokenizer.encode("\0");
            Continued compared = prompts.compared(new Prompts.Said(new int[][]{nul}, 0),
                    new Prompts.Said(new int[][]{tokenizer.encode(" x")}, 0), tokenizer, 0).prompts().getFirst();
            assertThat(compared.prompt().text()).isEqualTo("of");
            assertThat(compared.reference().text()).isEqualTo("\u20ac God");
            assertThat(compared.before().text()).doesNotContain("\0").contains("\uFFFD");
            assertThat(compared.after().text()).endsWith(" x");
            assertThat(compared.tokensAgreeing()).isZero();
            Continued silent = prompts.compared(new Prompts.Said(new int[][]{nul}, 0), new Prompts.Said(new int[][]{nul}, 0), null, 0)
                    .prompts().getFirst();
            assertThat(silent.prompt().text()).isNull();
            assertThat(silent.after().ids()).hasSize(nul.length);
        }
    }

    @Test
    void aTextEndsAsTheModelsFilesSay() throws IOException {
        Path model = RandomModel.OLMOE.write(directory.resolve("model"), 1);
        Path config = model.resolve("config.json");
        Path generation = model.resolve("generation_config.json");
        assertThat(ends(model)).isEmpty();
        Files.writeString(config, Files.readString(config).replaceFirst("\\{", "{\"eos_token_id\": 7,"));
        assertThat(ends(model)).containsExactly(7);
        Files.writeString(generation, "{\"eos_token_id\": [3, 4]}");
        assertThat(ends(model)).containsExactlyInAnyOrder(3, 4);
        Files.writeString(generation, "{}");
        assertThat(ends(model)).containsExactly(7);
        Files.writeString(generation, "{\"eos_token_id\": \"none\"}");
        assertThatThrownBy(() -> ends(model)).isInstanceOf(PruningException.class)
                .hasMessageContaining("generation_config.json: eos_token_id: \"none\" (expected: a token id or a list of them)");
    }

    private static java.util.Set<Integer> ends(Path model) {
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            return Prompts.of(new Prompting(1, 1, 1), new TokenWindows(new int[][]{{1, 2}}), checkpoint).ends();
        }
    }

    /** Half goes, so that the models part soon. */
    private static PruningRecipe recipe(Fixture fixture, Prompting prompting, List<Output> further) {
        return new PruningRecipe("fixture", MethodChoice.of(MethodName.MAGNITUDE), null, new Budget(new BigDecimal("0.5"), null), null,
                null,
                null, null, new Evaluation(ids(fixture), 8, 256, false, prompting), null, further, null, null, null, null);
    }

    private static PruningRun.Inputs inputs(Fixture fixture, PruningRecipe recipe) {
        return new PruningRun.Inputs(recipe, fixture.model(), null, ids(fixture));
    }

    private static CorpusRef ids(Fixture fixture) {
        return CorpusRef.at(fixture.reference("test_ids.safetensors").toAbsolutePath().toString());
    }

    private static Progress heard(List<String> notes, List<Progress.Tick> ticks) {
        return new Progress() {
            @Override
            public Answer tick(Tick tick) {
                ticks.add(tick);
                return Answer.GO_ON;
            }

            @Override
            public void note(String type, String message, Map<String, Object> data) {
                notes.add(type);
            }
        };
    }

    private static List<Integer> slow(Path model, List<Integer> prompt, int tokens) {
        int[] ids = prompt.stream().mapToInt(id -> id).toArray();
        return Arrays.stream(SlowDecoding.continued(model, ids, tokens, Compute.cpu())).boxed().toList();
    }

    private static int[] ints(JsonNode list) {
        return list.valueStream().mapToInt(JsonNode::intValue).toArray();
    }
}

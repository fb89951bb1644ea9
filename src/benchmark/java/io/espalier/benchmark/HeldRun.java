package io.espalier.benchmark;

import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.Map;

import io.espalier.pruning.ComputeDevice;
import io.espalier.pruning.PruningRun;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Calibration;
import io.espalier.recipe.CorpusRef;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Precision;
import io.espalier.recipe.Progress;
import io.espalier.recipe.PruningRecipe;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * One whole pruning run in a process of its own, which {@link LargerThanMemory} holds to a limit. Arguments: checkpoint, token file, sequences, length,
 * work directory, file for the findings, precision, memory budget in bytes.
 */
final class HeldRun {

    private HeldRun() {}

    /** When each phase began, and what the run said about itself. */
    private static final class Clock implements Progress {

        private final Map<Phase, Long> began = new EnumMap<>(Phase.class);
        private final ObjectNode notes = JsonMapper.shared().createObjectNode();

        @Override
        public Answer tick(Tick tick) {
            began.putIfAbsent(tick.phase(), System.nanoTime());
            return Answer.GO_ON;
        }

        @Override
        public void note(String type, String message, Map<String, Object> data) {
            notes.put(type, message);
            System.out.println("    " + type + ": " + message);
        }
    }

    public static void main(String[] arguments) throws Exception {
        int sequences = Integer.parseInt(arguments[2]);
        int length = Integer.parseInt(arguments[3]);
        PruningRecipe recipe = new PruningRecipe(arguments[0], MethodChoice.of(MethodName.HEAPR),
                new Calibration(CorpusRef.at(arguments[1]), sequences, length, 0L), new Budget(new BigDecimal("0.25"), null),
                Layout.UNIFORM, 8,
                false, null, Precision.valueOf(arguments[6]));
        Clock clock = new Clock();
        Path work = Files.createDirectories(Path.of(arguments[4]));
        PruningRun.execute(new PruningRun.Inputs(recipe, Path.of(arguments[0]), recipe.calibration().corpus(), null), work,
                ComputeDevice.find("cpu", Long.parseLong(arguments[7])).getFirst(), clock);
        clock.tick(new Progress.Tick(Phase.PUBLISH, 100, null, null, null));
        ObjectNode found = JsonMapper.shared().createObjectNode();
        ObjectNode seconds = found.putObject("seconds");
        Phase[] phases = clock.began.keySet().toArray(Phase[]::new);
        for (int i = 0; i + 1 < phases.length; i++) {
            seconds.put(phases[i].name().toLowerCase(java.util.Locale.ROOT),
                    (clock.began.get(phases[i + 1]) - clock.began.get(phases[i])) * 1e-9);
        }
        found.set("notes", clock.notes);
        found.put("cpu_s", Machine.processorSeconds());
        MemoryWatch.io(ProcessHandle.current().pid()).forEach(found::put);
        Files.writeString(Path.of(arguments[5]), found.toString());
    }
}

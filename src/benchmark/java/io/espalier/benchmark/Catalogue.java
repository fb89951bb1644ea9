package io.espalier.benchmark;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

import io.espalier.api.ContractFuzz;
import io.espalier.chaos.Freezes;
import io.espalier.chaos.Kills;
import io.espalier.chaos.Outages;
import io.espalier.chaos.StartLatency;
import io.espalier.worker.Throughput;
import io.espalier.worker.Watched;

/** Runs the benchmark that is named first on the command line; says which there are when none is. */
final class Catalogue {

    private record Entry(String question, Main main) {}

    @FunctionalInterface
    private interface Main {
        void run(String[] arguments) throws Exception;
    }

    private static final Map<String, Entry> ALL = new LinkedHashMap<>();

    static {
        ALL.put("ReferenceProcedure", new Entry("our sweep against the published procedure", ReferenceProcedure::main));
        ALL.put("Roofline", new Entry("the share of the machine's peak that each part of the sweep reaches", Roofline::main));
        ALL.put("LargerThanMemory", new Entry("a checkpoint pruned in a process that could not hold it", LargerThanMemory::main));
        ALL.put("SmallExperts", new Entry("several small experts in one call of the engine against one by one", SmallExperts::main));
        ALL.put("WhatIf", new Entry("how long a plan and a curve from stored scores take", WhatIf::main));
        ALL.put("Scaling", new Entry("cost against tokens, layers, experts, lanes and workers", Scaling::main));
        ALL.put("Kills", new Entry("real processes killed at any moment, and what became of the job", Kills::main));
        ALL.put("Freezes", new Entry("workers stopped past their lease and continued", Freezes::main));
        ALL.put("Outages", new Entry("a database that goes, cuts, blocks or is full; a disk that is full", Outages::main));
        ALL.put("Throughput", new Entry("jobs and claims a second over tiny jobs", Throughput::main));
        ALL.put("Watched", new Entry("what it costs a sweep that everything it tells is kept", Watched::main));
        ALL.put("StartLatency", new Entry("from the order to its start on an idle worker", StartLatency::main));
        ALL.put("ContractFuzz",
                new Entry("whether any request that the contract gives rise to is answered otherwise than it says", ContractFuzz::main));
    }

    private Catalogue() {}

    public static void main(String[] arguments) throws Exception {
        Entry entry = arguments.length == 0 ? null : ALL.get(arguments[0]);
        if (entry == null) {
            ALL.forEach((name, known) -> System.out.printf("-Dbenchmark=%-20s %s%n", name, known.question()));
            System.out.println("Options: -Dbenchmark.args=\"...\"; src/benchmark/README.md lists them.");
            return;
        }
        entry.main().run(Arrays.copyOfRange(arguments, 1, arguments.length));
    }
}

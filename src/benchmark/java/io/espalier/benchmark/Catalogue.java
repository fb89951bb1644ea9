package io.espalier.benchmark;

/** What runs when no benchmark is named. */
final class Catalogue {

    private Catalogue() {}

    public static void main(String[] arguments) {
        System.out.println("""
                -Dbenchmark=ReferenceProcedure   our sweep against the published procedure
                -Dbenchmark=Roofline             the share of the machine's peak that each part of the sweep reaches
                -Dbenchmark=LargerThanMemory     a checkpoint pruned in a process that could not hold it
                -Dbenchmark=WhatIf               how long a plan and a curve from stored scores take
                -Dbenchmark=Scaling              cost against tokens, layers, experts, lanes and workers
                Options: -Dbenchmark.args="..."; src/benchmark/README.md lists them.""");
    }
}

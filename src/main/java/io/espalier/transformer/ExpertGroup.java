package io.espalier.transformer;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntUnaryOperator;

/**
 * Experts of a layer that are computed by one call of the engine, and the tokens of a micro-batch that go to each: neighbours of one width, as many as are
 * small together. A call costs as much as a small expert's products, so that many small experts one by one would spend most of the time on calls. Large
 * experts stay alone. The grouping depends on nothing but the routing and the widths: not on lanes, slices, or where the weights lie.
 *
 * @param experts indices in the layer, ascending
 * @param counts tokens of each, at least 1
 * @param rows where the tokens are in x, expert after expert, ascending within each, [n]
 * @param slots row * K + rank, where their router weights are, [n]
 */
record ExpertGroup(int[] experts, long[] counts, long[] rows, long[] slots) {

    /** Weights of a group that has more than one expert: what a lane's cache holds. */
    static final long WEIGHTS_AT_ONCE = 1L << 20;

    /** Activations (rows times width) of such a group, likewise. */
    private static final long ACTIVATIONS_AT_ONCE = 1L << 17;

    /**
     * Groups every expert that some token selected.
     *
     * @param selected expert of each slot, -1 for padding
     * @param width atoms of an expert of the layer
     * @param weightsAtOnce at most so many weights a group that has more than one expert
     */
    static List<ExpertGroup> of(int[] selected, int topK, int experts, IntUnaryOperator width, int hidden, long weightsAtOnce) {
        long[][] slots = slots(selected, experts);
        List<ExpertGroup> groups = new ArrayList<>();
        int rowsOfX = selected.length / topK;
        int from = 0;
        while (from < experts) {
            if (slots[from].length == 0) {
                from++;
                continue;
            }
            int atoms = width.applyAsInt(from);
            long rows = slots[from].length;
            long weights = 3L * atoms * hidden;
            List<Integer> members = new ArrayList<>(List.of(from));
            int to = from + 1;
            for (; to < experts; to++) {
                if (slots[to].length == 0) {
                    continue;
                }
                rows += slots[to].length;
                weights += 3L * atoms * hidden;
                if (width.applyAsInt(to) != atoms || weights > weightsAtOnce || rows > rowsOfX || rows * atoms > ACTIVATIONS_AT_ONCE) {
                    break;
                }
                members.add(to);
            }
            groups.add(group(members, slots, topK));
            from = to;
        }
        return groups;
    }

    /** The slots of each expert, ascending. */
    private static long[][] slots(int[] selected, int experts) {
        int[] count = new int[experts];
        for (int e : selected) {
            if (e >= 0) {
                count[e]++;
            }
        }
        long[][] slots = new long[experts][];
        for (int e = 0; e < experts; e++) {
            slots[e] = new long[count[e]];
        }
        for (int slot = selected.length - 1; slot >= 0; slot--) {
            if (selected[slot] >= 0) {
                slots[selected[slot]][--count[selected[slot]]] = slot;
            }
        }
        return slots;
    }

    private static ExpertGroup group(List<Integer> members, long[][] slots, int topK) {
        int[] experts = members.stream().mapToInt(e -> e).toArray();
        long[] counts = members.stream().mapToLong(e -> slots[e].length).toArray();
        long[] together = members.stream().flatMapToLong(e -> java.util.Arrays.stream(slots[e])).toArray();
        return new ExpertGroup(experts, counts, java.util.Arrays.stream(together).map(slot -> slot / topK).toArray(), together);
    }

    /** The expert that stands for the group where one number must. */
    int first() {
        return experts[0];
    }
}

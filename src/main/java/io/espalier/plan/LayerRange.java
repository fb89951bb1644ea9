package io.espalier.plan;

import java.util.ArrayList;
import java.util.List;

/**
 * The experts of one layer in a list of all.
 *
 * @param layer index of the decoder layer
 * @param from position of its first expert
 * @param to the position after its last
 */
record LayerRange(int layer, int from, int to) {

    /** The layers of experts in order of (layer, expert). */
    static List<LayerRange> of(List<ExpertScores> experts) {
        List<LayerRange> layers = new ArrayList<>();
        for (int from = 0, to; from < experts.size(); from = to) {
            to = from;
            while (to < experts.size() && experts.get(to).layer() == experts.get(from).layer()) {
                to++;
            }
            layers.add(new LayerRange(experts.get(from).layer(), from, to));
        }
        return layers;
    }

    int count() {
        return to - from;
    }
}

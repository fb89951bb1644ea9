package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;

import io.espalier.plan.Allocation.Granularity;
import io.espalier.plan.Allocation.ModelSize;
import io.espalier.recipe.Budget;
import io.espalier.recipe.Budget.RatioOf;
import io.espalier.recipe.Layout;
import io.espalier.recipe.MethodChoice.Scope;
import io.espalier.recipe.PruningException;
import org.junit.jupiter.api.Test;

class CurveTest {

    private static StoredScores scores(Random random, int sourceBlock) {
        List<ExpertScores> experts = new ArrayList<>();
        double[][] scores = new double[12][];
        double[] weights = new double[12];
        long parameters = 1000;
        long bytes = 2000;
        for (int e = 0; e < scores.length; e++) {
            scores[e] = random.doubles(20 + random.nextInt(12)).map(x -> x * x).toArray();
            weights[e] = e == 5 ? 0 : random.nextDouble();
            if (e == 5) {
                Arrays.fill(scores[e], Double.POSITIVE_INFINITY);
            }
            experts.add(new ExpertScores(e / 4, e % 4, scores[e], 6, 12, sourceBlock == 1 ? 0 : 4));
            parameters += 6L * scores[e].length;
            bytes += experts.getLast().cost(RatioOf.BYTES, scores[e].length, sourceBlock);
        }
        return new StoredScores(RankedScores.of(experts, sourceBlock), scores, weights, new ModelSize(parameters, bytes),
                new RouterShape(2, longs(experts.size(), 3), longs(experts.size(), 6)), null, null,
                null, Map.of());
    }

    private static long[] longs(int count, long value) {
        long[] values = new long[count];
        Arrays.fill(values, value);
        return values;
    }

    @Test
    void scoresOfBeforeTheModelsShapeWasKeptSayNothingOfEngines() {
        Allocation order = new Allocation(new Budget(new BigDecimal("0.1"), RatioOf.ROUTED_ATOMS), Layout.RAGGED, 1, true, Scope.GLOBAL,
                Granularity.ATOM, 1);
        assertThat(Forecast.of(order, scores(new Random(5), 1)).compatibility()).isNull();
    }

    @Test
    void everyPointIsWhatAPlanOfItsOwnWouldSayAndThePlanKeepsWhatItSays() {
        Random random = new Random(5);
        int points = 0;
        for (int trial = 0; trial < 60; trial++) {
            int block = trial % 3 == 0 ? 4 : 1;
            StoredScores scores = scores(random, block);
            Allocation shape = new Allocation(new Budget(BigDecimal.ZERO, RatioOf.values()[random.nextInt(3)]),
                    Layout.values()[random.nextInt(Layout.values().length)], 1 << random.nextInt(3), random.nextBoolean(),
                    Scope.values()[random.nextInt(3)], Granularity.ATOM, block);
            Curve curve = Curve.of(shape, scores, 21);
            for (int i = 0; i < 21; i++) {
                Allocation order = shape.within(new Budget(BigDecimal.valueOf(5L * i, 2), shape.budget().ratioOf()));
                if (i >= curve.points().size()) {
                    assertThat(refused(order, scores)).as("%s", order).isTrue();
                    continue;
                }
                Forecast forecast = Forecast.of(order, scores);
                Curve.Point point = curve.points().get(i);
                assertThat(point.totalParameters()).as("%s", order).isEqualTo(forecast.after().totalParameters());
                assertThat(point.bytes()).isEqualTo(forecast.after().bytes());
                assertThat(point.minWidth()).isEqualTo(forecast.achieved().minWidth());
                assertThat(point.predictedLossChange()).isEqualTo(forecast.predictedLossChange());
                KeepPlan plan = order.plan(scores.ranked().experts(), scores.model());
                assertThat(forecast.achieved().atomsRemoved()).isEqualTo(plan.removedAtoms());
                assertThat(forecast.predictedLossChange()).isCloseTo(lossOfGone(plan, scores), within(1e-12));
                points++;
            }
        }
        assertThat(points).isGreaterThan(500);
    }

    private static boolean refused(Allocation order, StoredScores scores) {
        try {
            order.stay(scores.ranked(), scores.model());
            return false;
        } catch (PruningException expected) {
            return true;
        }
    }

    private static double lossOfGone(KeepPlan plan, StoredScores scores) {
        double sum = 0;
        for (int e = 0; e < scores.scores().length; e++) {
            List<Integer> kept = Arrays.stream(plan.experts().get(e).kept()).boxed().toList();
            for (int k = 0; k < scores.scores()[e].length; k++) {
                sum += kept.contains(k) || scores.lossWeights()[e] == 0 ? 0 : scores.scores()[e][k] * scores.lossWeights()[e];
            }
        }
        return sum;
    }

    @Test
    void theLossNeverFallsAsMoreGoes() {
        Curve curve = Curve.of(new Allocation(new Budget(BigDecimal.ZERO, RatioOf.ROUTED_ATOMS), Layout.RAGGED, 1, false, Scope.GLOBAL,
                Granularity.ATOM), scores(new Random(9), 1), 101);
        assertThat(curve.points()).hasSizeGreaterThan(90);
        assertThat(curve.points()).extracting(Curve.Point::predictedLossChange).isSorted();
        assertThat(curve.points().getFirst().predictedLossChange()).isZero();
        assertThat(curve.points().get(37).ratio()).isEqualTo(new BigDecimal("0.37"));
    }

    @Test
    void aLayoutThatCannotBeHadHasNoPoints() {
        Allocation whole = new Allocation(new Budget(BigDecimal.ZERO, RatioOf.ROUTED_ATOMS), Layout.UNIFORM, 1, false, Scope.GLOBAL,
                Granularity.EXPERT);
        assertThat(Curve.of(whole, scores(new Random(9), 1), 11).points()).isEmpty();
        Allocation wide = new Allocation(new Budget(BigDecimal.ZERO, RatioOf.ROUTED_ATOMS), Layout.RAGGED, 64, false, Scope.GLOBAL,
                Granularity.ATOM);
        assertThat(Curve.of(wide, scores(new Random(9), 1), 11).points()).isEmpty();
    }
}

package io.espalier.job;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.stream.Stream;

import io.espalier.recipe.Continuations;
import io.espalier.recipe.MethodName;
import io.espalier.recipe.Phase;
import io.espalier.recipe.Precision;
import io.espalier.recipe.PruningResult;

/**
 * How fast jobs went that have succeeded here, and how long another would take at that. Rates are medians, so that a job that was paused or ran beside
 * others does not decide.
 */
final class Pace {

    /**
     * What a job did.
     *
     * @param modelDirectory real path
     * @param phases with their times
     */
    record Done(String modelDirectory, MethodName method, Precision precision, boolean randomControl, List<PhaseTimes> phases,
            PruningResult result) {

        /** Seconds of a phase; {@code null} when it did not take place, or no time. */
        Double seconds(Phase phase) {
            return phases.stream().filter(times -> times.phase() == phase && times.finishedAt() != null)
                    .map(times -> Duration.between(times.startedAt(), times.finishedAt()).toNanos() / 1e9).filter(seconds -> seconds > 0)
                    .findFirst().orElse(null);
        }

        long outputs() {
            return 1L + result.further().size();
        }

        /** Tokens that passed a model in the check: the given one, each written one, each control. */
        long checked() {
            return result.perplexity() == null
                    ? 0
                    : result.perplexity().predictedTokens() * (1 + outputs() * (randomControl ? 2 : 1));
        }

        /** Seconds of the check without what decoding took. */
        Double checking() {
            Double whole = seconds(Phase.CHECK);
            return whole == null || whole <= decoding() ? null : Double.valueOf(whole - decoding());
        }

        double decoding() {
            return said().mapToDouble(Continuations::seconds).sum();
        }

        /** Tokens that were found behind prompts: the given model's are told with the first output. */
        long decoded() {
            return result.continuations() == null
                    ? 0
                    : result.continuations().found(true) + said().skip(1).mapToLong(said -> said.found(false)).sum();
        }

        private Stream<Continuations> said() {
            return Stream.concat(Stream.of(result).map(PruningResult::continuations),
                    result.further().stream().map(PruningResult.Further::continuations)).filter(Objects::nonNull);
        }

        long written() {
            return result.after().bytes() + result.further().stream().mapToLong(each -> each.after().bytes()).sum();
        }
    }

    private final List<Done> all;

    Pace(List<Done> all) {
        this.all = all;
    }

    Paces.Estimate estimate(Paces.Ahead ahead) {
        List<Done> same = all.stream().filter(done -> done.modelDirectory.equals(ahead.modelDirectory())).toList();
        Answer calibrate = tokens(same, ahead, ahead.calibrated(),
                done -> done.method == ahead.method() && done.precision == ahead.precision()
                        && done.result.coverage() != null ? rate(done.result.coverage().tokens(), done.seconds(Phase.CALIBRATE)) : null);
        Answer check = tokens(same, ahead, ahead.checked(),
                done -> done.precision == ahead.precision() ? rate(done.checked(), done.checking()) : null);
        Answer decode = tokens(same, ahead, ahead.decoded(),
                done -> done.precision == ahead.precision() ? rate(done.decoded(), done.decoding()) : null);
        Answer cut = ahead.written() == null
                ? Answer.UNKNOWN
                : Answer.of(ahead.written(), median(all, done -> rate(done.written(), done.seconds(Phase.CUT))));
        List<Answer> answers = List.of(calibrate, check, decode, cut);
        boolean known = answers.stream().allMatch(answer -> answer.seconds != null);
        return new Paces.Estimate(calibrate.seconds, cut.seconds, check.seconds, decode.seconds,
                known ? answers.stream().mapToDouble(answer -> answer.seconds).sum() : null,
                known ? answers.stream().allMatch(answer -> answer.sameModel) ? "same_model" : "other_models" : null, all.size());
    }

    /** @param sameModel whether no other model's rates were needed */
    private record Answer(Double seconds, boolean sameModel) {

        static final Answer UNKNOWN = new Answer(null, false);

        /** The disk is the same whatever the model. */
        static Answer of(double amount, Double rate) {
            return rate == null ? UNKNOWN : new Answer(amount / rate, true);
        }
    }

    /** By the rates of the same model, else of others by the parameters that work for a token. */
    private Answer tokens(List<Done> same, Paces.Ahead ahead, long tokens, Function<Done, Double> rate) {
        if (tokens == 0) {
            return new Answer(0.0, true);
        }
        Double own = median(same, rate);
        if (own != null) {
            return new Answer(tokens / own, true);
        }
        Double others = median(all, done -> {
            Double its = rate.apply(done);
            return its == null ? null : Double.valueOf(its * done.result.before().activeParameters());
        });
        return others == null || ahead.activeParameters() == null
                ? Answer.UNKNOWN
                : new Answer(tokens * (double) ahead.activeParameters() / others, false);
    }

    private static Double rate(long amount, Double seconds) {
        return seconds == null || amount == 0 ? null : Double.valueOf(amount / seconds);
    }

    private static Double median(List<Done> jobs, Function<Done, Double> rate) {
        double[] rates = jobs.stream().map(rate).filter(Objects::nonNull).mapToDouble(x -> x).sorted().toArray();
        return rates.length == 0 ? null : Double.valueOf(Arrays.stream(rates).skip(rates.length / 2).findFirst().orElseThrow());
    }
}

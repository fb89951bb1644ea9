package io.espalier.recipe;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

import com.fasterxml.jackson.annotation.JsonInclude;
import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * One pruning order, whole: bound from JSON by the API, stored with the job, executed by the run, written into the manifest. It is never mapped to
 * another type on the way.
 *
 * @param model a registered model's name, or the absolute path of a directory that holds a Hugging Face checkpoint
 * @param method the criterion and its options; {@code heapr} when absent
 * @param calibration the tokens that the scores are measured on; unused by methods that look at weights only
 * @param budget how much has to go
 * @param layout which shapes the result may have; {@code ragged} when absent
 * @param alignment what every kept expert width is a multiple of; 1 when absent
 * @param tensorParallel over how many devices an engine is to split each expert, or the experts where whole ones go: widths a device are aligned, or
 *     the number of experts divides; 1 when absent
 * @param allowEmptyExperts whether an expert may lose all its atoms; false when absent
 * @param evaluation held-out text to measure perplexity on, before and after; {@code null}: sizes only
 * @param precision of the matrix products of calibration and evaluation; {@code f32} when absent
 * @param furtherOutputs more models to make of the same scores, at most {@link #MAX_FURTHER_OUTPUTS}; none when absent
 * @param project whose order it is: jobs of one project share its place in the queue; {@code default} when absent
 * @param priority -10 to 10, higher first; 0 when absent
 * @param protections what stays whatever the budget; {@code null} for nothing
 * @param scoreSet id of scores that were measured before, to be used in place of a calibration; {@code null} to measure, unless there are such
 */
@JsonNaming(SnakeCaseStrategy.class)
public record PruningRecipe(String model, MethodChoice method, Calibration calibration, Budget budget, Layout layout,
        Alignment alignment, Integer tensorParallel, Boolean allowEmptyExperts, Evaluation evaluation, Precision precision,
        List<Output> furtherOutputs, String project, Integer priority,
        @JsonInclude(JsonInclude.Include.NON_NULL) Protections protections, @JsonInclude(JsonInclude.Include.NON_NULL) String scoreSet) {

    /** Widest alignment any known kernel asks for, in atoms. */
    public static final int MAX_ALIGNMENT = 256;

    /** More devices than any engine splits one expert over. */
    public static final int MAX_TENSOR_PARALLEL = 64;

    /** More shapes of one model than anybody compares. */
    public static final int MAX_FURTHER_OUTPUTS = 8;

    /** The highest priority; its negative is the lowest. */
    public static final int MAX_PRIORITY = 10;

    private static final String DEFAULT_PROJECT = "default";
    private static final Pattern PROJECT = Pattern.compile("[a-z0-9][a-z0-9-]{0,62}");

    public PruningRecipe {
        method = method == null ? MethodChoice.of(MethodName.HEAPR) : method;
        calibration = calibration == null && (scoreSet != null || !method.name().needsTokens()) ? Calibration.NONE : calibration;
        layout = layout == null ? Layout.RAGGED : layout;
        alignment = alignment == null ? Alignment.NONE : alignment;
        tensorParallel = tensorParallel == null ? 1 : tensorParallel;
        allowEmptyExperts = allowEmptyExperts != null && allowEmptyExperts;
        precision = precision == null ? Precision.F32 : precision;
        Budget ofAll = budget;
        furtherOutputs = furtherOutputs == null
                ? List.of()
                : furtherOutputs.stream().filter(Objects::nonNull).map(output -> output.within(ofAll)).toList();
        project = project == null ? DEFAULT_PROJECT : project;
        priority = priority == null ? 0 : priority;
    }

    /** An order of the default project that does not hurry. */
    public PruningRecipe(String model, MethodChoice method, Calibration calibration, Budget budget, Layout layout, Integer alignment,
            Boolean allowEmptyExperts, Evaluation evaluation, Precision precision) {
        this(model, method, calibration, budget, layout, alignment == null ? null : new Alignment(alignment), null, allowEmptyExperts,
                evaluation, precision, null, null, null, null, null);
    }

    /** Whether tokens have to be measured to carry this order out. */
    public boolean measuresTokens() {
        return method.name().needsTokens() && scoreSet == null;
    }

    /** The same order with other words for its inline texts: a manifest or a list is no place for a corpus. */
    public PruningRecipe withTexts(UnaryOperator<String> words) {
        return new PruningRecipe(model, method, calibration == null
                ? null
                : new Calibration(worded(calibration.corpus(), words), calibration.sequences(), calibration.sequenceLength(),
                        calibration.seed()),
                budget, layout, alignment, tensorParallel, allowEmptyExperts, evaluation == null
                        ? null
                        : new Evaluation(worded(evaluation.corpus(), words), evaluation.windows(), evaluation.sequenceLength(),
                                evaluation.randomControl(), evaluation.continuations()),
                precision, furtherOutputs, project, priority, protections, scoreSet);
    }

    /** This order, and one for each further output, as if it alone had been ordered. What is protected stays in all of them. */
    public List<PruningRecipe> outputs() {
        List<PruningRecipe> orders = new ArrayList<>(List.of(this));
        furtherOutputs.forEach(output -> orders.add(with(output)));
        return orders;
    }

    private PruningRecipe with(Output output) {
        return new PruningRecipe(model, method, calibration, output.budget(), output.layout(),
                output.alignment(), output.tensorParallel(), output.allowEmptyExperts(), evaluation, precision, null, project, priority,
                protections, scoreSet);
    }

    private static CorpusRef worded(CorpusRef corpus, UnaryOperator<String> words) {
        return corpus == null || corpus.text() == null ? corpus : CorpusRef.inline(words.apply(corpus.text()));
    }

    /** All that is wrong with this order by itself, before any file is looked at; empty when nothing is. */
    public List<Violation> violations() {
        List<Violation> found = new ArrayList<>();
        if (model == null || model.isBlank()) {
            found.add(Violation.missing("model", "a registered model's name or an absolute directory"));
        }
        method.violations("method", found);
        if (calibration == null) {
            found.add(Violation.missing("calibration", "a calibration corpus, because " + method.name().json() + " measures activations"));
        } else if (measuresTokens()) {
            calibration.violations("calibration", found);
        } else if (scoreSet != null && calibration.corpus() != null) {
            found.add(new Violation("calibration.corpus", "a corpus", "absent, because score_set names what was measured already"));
        }
        if (budget == null) {
            found.add(Violation.missing("budget", "an object with ratio, target_parameters or target_bytes"));
        } else {
            budget.violations("budget", found);
        }
        shapeViolations("", found);
        if (furtherOutputs.size() > MAX_FURTHER_OUTPUTS) {
            found.add(new Violation("further_outputs", furtherOutputs.size() + " of them", "at most " + MAX_FURTHER_OUTPUTS));
        }
        for (int i = 0; i < furtherOutputs.size(); i++) {
            String at = "further_outputs[" + i + "].";
            if (furtherOutputs.get(i).layout() == null) {
                found.add(Violation.missing(at + "layout", "which shapes the model may have"));
            }
            if (furtherOutputs.get(i).budget() != null && furtherOutputs.get(i).budget() != budget) {
                furtherOutputs.get(i).budget().violations(at + "budget", found);
            }
            if (furtherOutputs.get(i).layout() != null) {
                with(furtherOutputs.get(i)).shapeViolations(at, found);
            }
        }
        if (!PROJECT.matcher(project).matches()) {
            found.add(new Violation("project", project, "1 to 63 of a-z, 0-9 and -, not beginning with -"));
        }
        if (Math.abs((long) priority) > MAX_PRIORITY) {
            found.add(new Violation("priority", String.valueOf(priority), "an integer from -" + MAX_PRIORITY + " to " + MAX_PRIORITY));
        }
        if (protections != null) {
            protections.violations("protections", found);
        }
        if (evaluation != null) {
            evaluation.violations("evaluation", found);
            Integer length = evaluation.sequenceLength() == null && calibration != null && measuresTokens()
                    ? calibration.sequenceLength()
                    : evaluation.sequenceLength();
            if (evaluation.continuations() != null && length != null && length >= 2) {
                evaluation.continuations().fits("evaluation.continuations", length, found);
            }
        }
        return found;
    }

    /** What is wrong with layout, alignment and devices, or cannot go together with them. */
    private void shapeViolations(String at, List<Violation> found) {
        if (!alignment.isAllowed()) {
            found.add(new Violation(at + "alignment", String.valueOf(alignment.json()),
                    "auto, or a power of two from 1 to " + MAX_ALIGNMENT));
        }
        if (tensorParallel < 1 || tensorParallel > MAX_TENSOR_PARALLEL) {
            found.add(new Violation(at + "tensor_parallel", String.valueOf(tensorParallel), "an integer from 1 to " + MAX_TENSOR_PARALLEL));
        }
        if (protections != null && protections.minWidth() != null && allowEmptyExperts) {
            found.add(new Violation(at + "allow_empty_experts", "true", "false, because protections.min_width lets no expert be empty"));
        }
        boolean wholeExperts = method.name() == MethodName.FREQUENCY;
        switch (layout) {
            case RAGGED -> {}
            case UNIFORM, PER_LAYER -> {
                if (wholeExperts) {
                    found.add(new Violation(at + "layout", layout.json(), "ragged or experts, because " + method.name().json()
                            + " ranks whole experts and " + layout.json() + " keeps every expert"));
                }
            }
            case EXPERTS -> {
                if (alignment.atoms() > 1 && alignment.isAllowed()) {
                    found.add(new Violation(at + "alignment", String.valueOf(alignment.json()),
                            "1 or auto, because layout experts leaves the widths as they are"));
                }
                if (allowEmptyExperts) {
                    found.add(new Violation(at + "allow_empty_experts", "true",
                            "false, because layout experts removes whole experts, router rows and all"));
                }
                if (method.scope() == MethodChoice.Scope.EXPERT) {
                    found.add(new Violation("method.scope", "expert", "global or layer, because layout experts ranks whole experts"));
                }
            }
        }
    }
}

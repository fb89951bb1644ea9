package io.espalier.platform;

import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/** The service will not start, and a person can do something about it. */
class StartRefused extends RuntimeException {

    private final String whatToDo;

    StartRefused(String why, String whatToDo) {
        super(why);
        this.whatToDo = whatToDo;
    }

    /** Prints the two sentences in place of a stack trace. Named in {@code META-INF/spring.factories}. */
    static class Analyzer extends AbstractFailureAnalyzer<StartRefused> {
        @Override
        protected FailureAnalysis analyze(Throwable rootFailure, StartRefused cause) {
            return new FailureAnalysis(cause.getMessage(), cause.whatToDo, cause);
        }
    }
}

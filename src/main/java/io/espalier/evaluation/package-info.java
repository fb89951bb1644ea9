/** What pruning cost: perplexity and size, before and after. */
package io.espalier.evaluation;

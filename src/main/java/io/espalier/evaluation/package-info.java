/** What pruning cost: perplexity, size, speed, before and after. */
package io.espalier.evaluation;

/** The steps of one run: open, calibrate, score, plan, cut, check. */
package io.espalier.pruning;

/** One sweep over the calibration tokens, layer by layer forward and then in reverse, filling the statistics that methods ask for. */
package io.espalier.calibration;

/** Decoder architectures as mathematics: forward, and backward to every expert's activations. */
package io.espalier.transformer;

/** Published decoder architectures, one page each: what a configuration and its tensors say about a model, without its numbers. */
package io.espalier.architecture;

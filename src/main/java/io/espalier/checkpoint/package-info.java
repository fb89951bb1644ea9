/** A model on disk as named tensors: safetensors shards, index, config, read and written as streams. */
package io.espalier.checkpoint;

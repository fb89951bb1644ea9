/** Named texts become seeded, fixed-length token batches. */
package io.espalier.corpus;

/** Finished files: kept, summed, handed out, forgotten. */
package io.espalier.artifact;

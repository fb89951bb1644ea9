/** Finished files: kept in directories or buckets, summed, signed, handed out, forgotten. */
package io.espalier.artifact;

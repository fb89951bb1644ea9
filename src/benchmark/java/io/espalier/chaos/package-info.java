/** Espalier under attack: real processes on a real PostgreSQL, killed, frozen, cut off and starved, and what became of their jobs. */
package io.espalier.chaos;

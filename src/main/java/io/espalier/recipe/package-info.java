/** The words that travel: what was ordered, which step it is in, what came out. */
package io.espalier.recipe;

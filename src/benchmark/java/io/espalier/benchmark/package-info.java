/** What Espalier costs, measured beside what it replaces: one main class a question, each printing a table and writing JSON. */
package io.espalier.benchmark;

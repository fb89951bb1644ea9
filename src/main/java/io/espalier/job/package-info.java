/** An order being carried out: its states, its history, its place in the queue. */
package io.espalier.job;

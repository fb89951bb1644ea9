/** What the service tells of itself: the list of its meters, traces from one process to the next, log lines without secrets. */
package io.espalier.telemetry;

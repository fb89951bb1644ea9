/** Who is told what becomes of jobs: signed messages to addresses that clients named, sent until they arrive. */
package io.espalier.webhook;

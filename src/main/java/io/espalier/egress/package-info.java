/** Requests to addresses that clients named: which are allowed, and how far one may go. */
package io.espalier.egress;

/** S3-compatible storage: one client and its settings, objects put once, read in pieces, listed and deleted. */
package io.espalier.objectstore;

/** Files that lie elsewhere, at a hub or in a bucket: what there is of them, and their bytes from any place on. */
package io.espalier.remote;

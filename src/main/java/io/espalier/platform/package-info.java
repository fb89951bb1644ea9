/** Wiring that belongs to no room: the embedded database, the check of settings. */
package io.espalier.platform;

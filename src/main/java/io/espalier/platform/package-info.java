/** Wiring that belongs to no room: the embedded database, metrics naming. */
package io.espalier.platform;

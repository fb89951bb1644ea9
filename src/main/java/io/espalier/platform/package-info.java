/** Wiring that belongs to no room: the way to the database and its clock, the check of settings. */
package io.espalier.platform;

/** The papers: each published criterion one class that says which statistics it needs and turns them into scores. */
package io.espalier.method;

/** What can be pruned and with what: registered models, corpora, score sets. */
package io.espalier.catalog;

/** Claims the next piece of work, holds one device, runs it, tells how it goes. */
package io.espalier.worker;

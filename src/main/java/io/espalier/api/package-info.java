/** {@code openapi.yaml}, spoken in Java: REST, events, problem details. */
package io.espalier.api;

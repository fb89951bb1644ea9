/** {@code openapi.yaml}, spoken in Java: REST, progress events, problem details. */
package io.espalier.api;

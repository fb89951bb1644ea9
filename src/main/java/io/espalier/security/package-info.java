/** Whose request it is: API keys and signed tokens, each with a project and a role. */
package io.espalier.security;

package io.espalier.api;

import jakarta.validation.constraints.NotNull;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.util.unit.DataSize;
import org.springframework.validation.annotation.Validated;

/**
 * @param enabled whether this process answers requests to the API
 * @param maxBody the longest request body that is read; a calibration text given inline has to fit
 * @param scoreCache how much of Java's heap decoded score sets may take; what-if is answered from them
 */
@Validated
@ConfigurationProperties("espalier.api")
record ApiSettings(boolean enabled, @NotNull DataSize maxBody, @NotNull DataSize scoreCache) {}

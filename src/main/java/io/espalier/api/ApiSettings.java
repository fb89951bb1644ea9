package io.espalier.api;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

/**
 * @param maxBody the longest request body that is read, 8 MiB unless set; a calibration text given inline has to fit ({@code ESPALIER_API_MAX_BODY})
 * @param scoreCache how much of Java's heap decoded score sets may take, 512 MiB unless set; what-if is answered from them ({@code
 *     ESPALIER_API_SCORE_CACHE})
 */
@ConfigurationProperties("espalier.api")
record ApiSettings(@DefaultValue("8MB") DataSize maxBody, @DefaultValue("512MB") DataSize scoreCache) {}

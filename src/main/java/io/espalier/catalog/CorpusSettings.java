package io.espalier.catalog;

import jakarta.validation.constraints.NotNull;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.util.unit.DataSize;
import org.springframework.validation.annotation.Validated;

/** @param maxBytes the longest text that is taken in; no run reads a longer one than 512 MiB */
@Validated
@ConfigurationProperties("espalier.corpora")
record CorpusSettings(@NotNull DataSize maxBytes) {}

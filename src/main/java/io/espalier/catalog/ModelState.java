package io.espalier.catalog;

import java.util.Locale;

import com.fasterxml.jackson.annotation.JsonValue;

/** Where a registered model stands. Jobs take it when it is {@link #READY}. */
public enum ModelState {
    /** Its files are being sent by a client. */
    UPLOADING,
    /** They were all sent; sizes, sums and format are checked. */
    VERIFYING,
    /** Its files are being brought in from elsewhere. */
    FETCHING,
    /** It can be pruned, or it is known why it cannot. */
    READY,
    /** Its files could not be had, or are no checkpoint. */
    FAILED;

    /** As it travels and is stored. */
    @JsonValue
    public String json() {
        return name().toLowerCase(Locale.ROOT);
    }
}

package io.espalier.plan;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;

import io.espalier.recipe.ErrorCode;
import io.espalier.recipe.PruningException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DiskSpaceTest {

    @TempDir
    private Path directory;

    @Test
    void aDiskThatFillsMeanwhileIsToldFromOtherFailures() {
        assertThat(DiskSpace.failure(directory, 77, new IOException("No space left on device")))
                .hasMessageContaining("(expected: at least 77 for the pruned model)").extracting(PruningException::code)
                .isEqualTo(ErrorCode.DISK_FULL);
        assertThat(DiskSpace.failure(directory, 77, new IOException("Input/output error"))).hasMessageContaining("Input/output error")
                .extracting(PruningException::code).isEqualTo(ErrorCode.IO_ERROR);
    }
}

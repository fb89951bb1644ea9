package io.espalier.checkpoint;

import static io.espalier.checkpoint.HandMade.entry;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

import io.espalier.checkpoint.MalformedCheckpointException.Fault;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One test for each lie that one file can tell. */
class MalformedSafetensorsTest {

    @TempDir
    private Path directory;

    private void refused(Path file, Fault fault, String message) {
        assertThatThrownBy(() -> SafetensorsFile.open(file)).hasMessage(message).isInstanceOfSatisfying(MalformedCheckpointException.class,
                thrown -> assertThat(thrown.fault()).isEqualTo(fault));
    }

    private void refused(String header, int data, Fault fault, String message) {
        refused(HandMade.file(directory.resolve("m.safetensors"), header, data), fault, "m.safetensors: " + message);
    }

    @Test
    void aFileShorterThanTheHeaderLengthIsRefused() throws IOException {
        refused(Files.write(directory.resolve("m.safetensors"), new byte[7]), Fault.FILE_TOO_SHORT,
                "m.safetensors: file length: 7 (expected: at least the 8 bytes of the header length)");
        refused(Files.write(directory.resolve("m.safetensors"), new byte[0]), Fault.FILE_TOO_SHORT,
                "m.safetensors: file length: 0 (expected: at least the 8 bytes of the header length)");
    }

    @Test
    void aDirectoryIsNotAFile() {
        refused(directory, Fault.NOT_A_FILE, directory.getFileName() + ": type: not a regular file (expected: a safetensors file)");
    }

    @Test
    void anEmptyHeaderIsRefused() {
        refused(HandMade.file(directory.resolve("m.safetensors"), 0, new byte[0], 16), Fault.HEADER_EMPTY,
                "m.safetensors: header length: 0 (expected: at least 2)");
    }

    @Test
    void aHeaderAboveTheLimitIsRefused() {
        refused(HandMade.file(directory.resolve("m.safetensors"), 100_000_001, new byte[2], 0), Fault.HEADER_TOO_LONG,
                "m.safetensors: header length: 100000001 (expected: at most 100000000)");
        refused(HandMade.file(directory.resolve("m.safetensors"), -1, new byte[2], 0), Fault.HEADER_TOO_LONG,
                "m.safetensors: header length: 18446744073709551615 (expected: at most 100000000)");
    }

    @Test
    void aHeaderLongerThanTheFileIsRefused() {
        refused(HandMade.file(directory.resolve("m.safetensors"), 3, new byte[]{'{', '}'}, 0), Fault.HEADER_BEYOND_FILE,
                "m.safetensors: header length: 3 (expected: at most the 2 bytes that follow it)");
    }

    @Test
    void aHeaderThatIsNotUtf8IsRefused() {
        refused(HandMade.file(directory.resolve("m.safetensors"), 4, new byte[]{'{', '"', (byte) 0xff, '}'}, 0), Fault.HEADER_NOT_UTF8,
                "m.safetensors: header: Input length = 1 (expected: UTF-8)");
    }

    @Test
    void aHeaderThatIsNotOneJsonObjectIsRefused() {
        String expected = " (expected: one JSON object, padded with spaces)";
        refused("[1]", 0, Fault.HEADER_NOT_AN_OBJECT, "header: begins with '['" + expected);
        refused(" {}", 0, Fault.HEADER_NOT_AN_OBJECT, "header: begins with ' '" + expected);
        refused("{} {}", 0, Fault.HEADER_NOT_AN_OBJECT, "header: goes on behind the object" + expected);
        for (String broken : new String[]{"{\"a\":", "{\"a\"", "{]", "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\"}}"}) {
            Path file = HandMade.file(directory.resolve("m.safetensors"), broken, 0);
            assertThatThrownBy(() -> SafetensorsFile.open(file)).as(broken).hasMessageStartingWith("m.safetensors: header: ")
                    .hasMessageEndingWith(expected);
        }
    }

    @Test
    void metadataThatIsNotStringsIsRefused() {
        refused("{\"__metadata__\":[]}", 0, Fault.METADATA, "__metadata__: [] (expected: an object of strings)");
        refused("{\"__metadata__\":{\"a\":1}}", 0, Fault.METADATA, "__metadata__.a: 1 (expected: a string)");
    }

    @Test
    void aTensorNamedTwiceIsRefused() {
        String a = entry("a", "U8", "[1]", "[0,1]");
        refused("{" + a + "," + a + "}", 1, Fault.DUPLICATE_TENSOR, "tensor 'a': named twice (expected: once)");
    }

    @Test
    void anEntryThatLacksAFieldIsRefused() {
        String expected = " (expected: an object with dtype, shape and data_offsets)";
        refused("{\"a\":7}", 0, Fault.TENSOR_ENTRY, "tensor 'a': 7" + expected);
        refused("{\"a\":null}", 0, Fault.TENSOR_ENTRY, "tensor 'a': null" + expected);
        refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, Fault.TENSOR_ENTRY,
                "tensor 'a': {\"dtype\":\"U8\",\"shape\":[1]}" + expected);
    }

    @Test
    void anUnknownDtypeIsRefused() {
        refused("{" + entry("a", "F7", "[1]", "[0,1]") + "}", 1, Fault.UNKNOWN_DTYPE,
                "tensor 'a': dtype: \"F7\" (expected: one of [BOOL, U8, I8, F8_E4M3, F8_E5M2, F8_E8M0, U16, I16, F16, BF16, U32, I32, F32, U64, I64,"
                        + " F64, C64])");
    }

    @Test
    void aShapeThatIsNotExtentsIsRefused() {
        for (String shape : new String[]{"[-1]", "[1.5]", "[\"1\"]", "4", "{\"a\":1}", "[9223372036854775808]"}) {
            refused("{" + entry("a", "U8", shape, "[0,1]") + "}", 1, Fault.SHAPE,
                    "tensor 'a': shape: " + shape + " (expected: a list of whole numbers of 0 or more)");
        }
    }

    @Test
    void aShapeThatOverflowsIsRefused() {
        refused("{" + entry("a", "F32", "[4294967296,2147483648]", "[0,0]") + "}", 0, Fault.SHAPE_OVERFLOW,
                "tensor 'a': shape: [4294967296, 2147483648] (expected: a size below 2^63 bytes)");
    }

    @Test
    void offsetsThatAreNotTwoAscendingNumbersAreRefused() {
        String expected = " (expected: two ascending numbers of 0 or more)";
        refused("{" + entry("a", "U8", "[1]", "[-1,0]") + "}", 1, Fault.OFFSETS, "tensor 'a': data_offsets: [-1,0]" + expected);
        refused("{" + entry("a", "U8", "[1]", "[1]") + "}", 1, Fault.OFFSETS, "tensor 'a': data_offsets: [1]" + expected);
        refused("{" + entry("a", "U8", "[1]", "[1,0]") + "}", 1, Fault.OFFSETS, "tensor 'a': data_offsets: [1, 0]" + expected);
    }

    @Test
    void offsetsBeyondTheFileAreRefused() {
        refused("{" + entry("a", "U8", "[4]", "[0,4]") + "}", 3, Fault.OFFSETS_BEYOND_FILE,
                "tensor 'a': data_offsets: [0, 4] (expected: at most the 3 bytes behind the header)");
        refused("{" + entry("a", "U8", "[0]", "[9223372036854775807,9223372036854775807]") + "}", 3, Fault.OFFSETS_BEYOND_FILE,
                "tensor 'a': data_offsets: [9223372036854775807, 9223372036854775807] (expected: at most the 3 bytes behind the header)");
    }

    @Test
    void aLengthThatDtypeAndShapeDoNotNeedIsRefused() {
        refused("{" + entry("a", "BF16", "[2,3]", "[0,11]") + "}", 11, Fault.LENGTH_MISMATCH,
                "tensor 'a': data_offsets: [0, 11], 11 bytes (expected: 12 bytes for BF16 [2, 3])");
    }

    @Test
    void tensorsThatOverlapAreRefused() {
        refused("{" + entry("a", "U8", "[4]", "[0,4]") + "," + entry("b", "U8", "[4]", "[3,7]") + "}", 7, Fault.OVERLAP,
                "tensor 'b': first byte: 3 (expected: 4, where the tensor before it ends)");
    }

    @Test
    void bytesThatBelongToNoTensorAreRefused() {
        refused("{" + entry("b", "U8", "[2]", "[5,7]") + "," + entry("a", "U8", "[4]", "[0,4]") + "}", 7, Fault.HOLE,
                "tensor 'b': first byte: 5 (expected: 4, where the tensor before it ends)");
        refused("{" + entry("a", "U8", "[2]", "[1,3]") + "}", 3, Fault.HOLE,
                "tensor 'a': first byte: 1 (expected: 0, where the tensor before it ends)");
    }

    @Test
    void bytesBehindTheLastTensorAreRefused() {
        String header = "{" + entry("a", "U8", "[2]", "[0,2]") + "}";
        int end = 8 + header.getBytes(StandardCharsets.UTF_8).length + 2;
        refused(header, 3, Fault.TRAILING_BYTES, "file length: " + (end + 1) + " (expected: " + end + ", where the last tensor ends)");
    }

    @Test
    void aTensorThatIsNotThereIsNamed() {
        try (SafetensorsFile file = SafetensorsFile.open(HandMade.file(directory.resolve("m.safetensors"), "{}", 0))) {
            assertThatThrownBy(() -> file.tensor("a")).hasMessage("m.safetensors: tensor 'a': missing (expected: one of the file's 0)")
                    .isInstanceOf(MalformedCheckpointException.class);
        }
    }
}

package io.espalier.catalog;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import io.espalier.recipe.Violation;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RootsTest {

    @TempDir
    private Path temp;
    private Path root;
    private Path outside;
    private Roots roots;
    private final List<Violation> found = new ArrayList<>();

    @BeforeEach
    void layOut() throws IOException {
        root = Files.createDirectories(temp.toRealPath().resolve("shelf"));
        outside = Files.createDirectories(temp.toRealPath().resolve("outside"));
        Files.createDirectories(root.resolve("model"));
        Files.writeString(root.resolve("model/config.json"), "{}");
        Files.writeString(root.resolve("text.txt"), "text");
        Files.writeString(outside.resolve("secret.txt"), "secret");
        roots = new Roots(List.of(root));
    }

    @Test
    void aDirectoryAndAFileUnderARootAreFound() {
        assertThat(roots.directory(root + "/model", "model", found)).isEqualTo(root.resolve("model"));
        assertThat(roots.file(root + "//./text.txt", "corpus", found)).isEqualTo(root.resolve("text.txt"));
        assertThat(found).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"model", "./model", "model/../model", "", "\0", "~/model"})
    void aPathThatIsNotAbsoluteIsRefused(String path) {
        assertThat(roots.directory(path, "model", found)).isNull();
        assertThat(found).containsExactly(new Violation("model", path, "an absolute path without .. in it"));
    }

    @Test
    void twoDotsAreRefusedEvenWhereTheyLeadBackIn() {
        assertThat(roots.directory(root + "/../shelf/model", "model", found)).isNull();
        assertThat(roots.directory(root + "/model/..", "model", found)).isNull();
        assertThat(found).extracting(Violation::expected).containsOnly("an absolute path without .. in it");
    }

    @Test
    void whatLiesOutsideIsAnsweredTheSameWhetherItExistsOrNot() {
        roots.file(outside + "/secret.txt", "corpus", found);
        roots.file(outside + "/nothing.txt", "corpus", found);
        roots.file(outside.toString(), "corpus", found);
        roots.file(root + "-beside/text.txt", "corpus", found);
        assertThat(found).hasSize(4).extracting(Violation::expected).containsOnly("a file that exists under one of the roots " + root);
    }

    @Test
    void aLinkThatLeadsOutIsAnsweredLikeOneThatLeadsNowhere() throws IOException {
        Files.createSymbolicLink(root.resolve("out.txt"), outside.resolve("secret.txt"));
        Files.createSymbolicLink(root.resolve("nowhere.txt"), outside.resolve("nothing.txt"));
        Files.createSymbolicLink(root.resolve("out"), outside);
        roots.file(root + "/out.txt", "corpus", found);
        roots.file(root + "/nowhere.txt", "corpus", found);
        roots.file(root + "/out/secret.txt", "corpus", found);
        roots.file(root + "/missing.txt", "corpus", found);
        assertThat(found).hasSize(4).extracting(Violation::expected).containsOnly("a file that exists under one of the roots " + root);
    }

    @Test
    void aCheckpointWhoseFilesLeadOutIsRefusedNamingTheFile() throws IOException {
        Files.createSymbolicLink(root.resolve("model/model.safetensors"), outside.resolve("secret.txt"));
        assertThat(roots.directory(root + "/model", "model", found)).isNull();
        assertThat(found.getFirst().expected()).contains("model.safetensors does not").contains(root.toString());
    }

    @Test
    void linksThatStayInsideAreFollowedAsInAHubCache() throws IOException {
        Files.createDirectories(root.resolve("blobs"));
        Files.writeString(root.resolve("blobs/abc"), "weights");
        Files.createSymbolicLink(root.resolve("model/model.safetensors"), Path.of("../blobs/abc"));
        Files.createSymbolicLink(root.resolve("latest"), root.resolve("model"));
        assertThat(roots.directory(root + "/latest", "model", found)).isEqualTo(root.resolve("model"));
        assertThat(found).isEmpty();
    }

    @Test
    void aRootThatIsALinkIsUnderstoodByBothItsNames() throws IOException {
        Path link = Files.createSymbolicLink(temp.toRealPath().resolve("mounted"), root);
        Roots linked = new Roots(List.of(link));
        assertThat(linked.file(link + "/text.txt", "corpus", found)).isEqualTo(root.resolve("text.txt"));
        assertThat(linked.file(root + "/text.txt", "corpus", found)).isEqualTo(root.resolve("text.txt"));
        assertThat(found).isEmpty();
    }

    @Test
    void theWrongKindIsRefused() {
        assertThat(roots.directory(root + "/text.txt", "model", found)).isNull();
        assertThat(roots.file(root + "/model", "corpus", found)).isNull();
        assertThat(found).extracting(Violation::expected).containsExactly("a directory that holds a checkpoint, not a file",
                "a regular file, not a directory or a device");
    }

    @Test
    void withoutRootsNothingIsAllowed() {
        assertThat(new Roots(List.of()).file("/etc/passwd", "corpus", found)).isNull();
        assertThat(found.getFirst().expected()).contains("espalier.roots");
    }
}

package io.espalier.platform;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EmbeddedDatabaseTest {

    @TempDir
    private Path temp;

    @Test
    void dataOutliveTheServerAndReachTheDisk() throws Exception {
        try (EmbeddedPostgres server = EmbeddedDatabase.start(settings(temp))) {
            run(server, "create table kept (n int)");
            run(server, "insert into kept values (42)");
            assertThat(ask(server, "show fsync")).isEqualTo("on");
            assertThat(ask(server, "show synchronous_commit")).isEqualTo("on");
            assertThat(ask(server, "show full_page_writes")).isEqualTo("on");
            assertThat(ask(server, "show listen_addresses")).isEqualTo("127.0.0.1");
        }
        try (EmbeddedPostgres server = EmbeddedDatabase.start(settings(temp))) {
            assertThat(ask(server, "select n from kept")).isEqualTo("42");
        }
    }

    @Test
    void aServerThatOutlivedItsProcessIsStoppedFirst() throws Exception {
        Process killed = new ProcessBuilder(ProcessHandle.current().info().command().orElseThrow(), "-cp",
                System.getProperty("java.class.path"),
                Killed.class.getName(), temp.toString()).redirectErrorStream(true).redirectOutput(temp.resolve("log").toFile()).start();
        assertThat(killed.waitFor()).as(Files.readString(temp.resolve("log"))).isEqualTo(137);
        long pid = Long.parseLong(Files.readAllLines(temp.resolve("data/postmaster.pid")).getFirst().strip());
        assertThat(ProcessHandle.of(pid).filter(ProcessHandle::isAlive)).as("the server outlives its process").isPresent();
        assertThat(temp.resolve("bin")).as("binaries are kept beside the data").isDirectory();
        try (EmbeddedPostgres server = EmbeddedDatabase.start(settings(temp))) {
            assertThat(ProcessHandle.of(pid).filter(ProcessHandle::isAlive)).isEmpty();
            assertThat(ask(server, "select n from kept")).isEqualTo("7");
        }
    }

    /** A process that starts a server, writes a row, and is gone without a word. */
    static class Killed {
        public static void main(String[] arguments) throws Exception {
            EmbeddedPostgres server = EmbeddedDatabase.start(settings(Path.of(arguments[0])));
            run(server, "create table kept (n int)");
            run(server, "insert into kept values (7)");
            Runtime.getRuntime().halt(137);
        }
    }

    @Test
    void aProcessIdThatWentToSomebodyElseIsLeftAlone() throws IOException {
        Path data = Files.createDirectories(temp.resolve("data"));
        Files.writeString(data.resolve("postmaster.pid"), ProcessHandle.current().pid() + "\n" + data + "\n");
        assertThatCode(() -> EmbeddedDatabase.stopOrphan(data)).doesNotThrowAnyException();
    }

    @Test
    void aDirectoryInUseIsRefusedSayingByWhomAndWhatToDo() throws IOException {
        try (DataDirectory held = new DataDirectory(temp)) {
            assertThat(held).isNotNull();
            assertThatThrownBy(() -> new DataDirectory(temp)).isInstanceOf(StartRefused.class)
                    .hasMessageContaining(temp.toString()).hasMessageContaining("pid " + ProcessHandle.current().pid());
        }
        assertThatCode(() -> new DataDirectory(temp).close()).doesNotThrowAnyException();
    }

    private static DatabaseSettings settings(Path directory) {
        return Databases.settings(DatabaseSettings.Mode.EMBEDDED, directory, 0);
    }

    private static void run(EmbeddedPostgres server, String sql) throws SQLException {
        try (Connection connection = server.getPostgresDatabase().getConnection()) {
            connection.createStatement().execute(sql);
        }
    }

    private static String ask(EmbeddedPostgres server, String sql) throws SQLException {
        try (Connection connection = server.getPostgresDatabase().getConnection();
                ResultSet rows = connection.createStatement().executeQuery(sql)) {
            rows.next();
            return rows.getString(1);
        }
    }
}

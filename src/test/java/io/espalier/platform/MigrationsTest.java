package io.espalier.platform;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A migration that says older programs may go on does nothing that they would notice. */
class MigrationsTest {

    private static final Pattern FILE = Pattern.compile("V(\\d+)__[a-z0-9_]+\\.sql");
    private static final Pattern SAYS = Pattern
            .compile("insert into schema_compatibility \\(version, works_from\\) values \\('(\\d+)', '(\\d+)'\\)");
    private static final List<Pattern> UNNOTICED = Stream.of("create table .*", "create index .*", "comment on .*",
            "alter table \\w+ add column (?!.*not null).*", "alter table \\w+ add column .*not null default .*", SAYS.pattern())
            .map(statement -> Pattern.compile("(?s)" + statement)).toList();

    @Test
    void migrationsThatServeOlderProgramsOnlyAdd() throws IOException {
        try (Stream<Path> files = Files.list(Path.of("migrations"))) {
            for (Path file : files.toList()) {
                Matcher name = FILE.matcher(file.getFileName().toString());
                assertThat(name.matches()).as(file.toString()).isTrue();
                assertThat(noticed(Integer.parseInt(name.group(1)), Files.readString(file))).as(file.toString()).isEmpty();
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"alter table a add column b text", "alter table a add column b integer not null default 0",
            "create table a (b text references c (d) on delete cascade)", "create index a_b on a (b)"})
    void whatOnlyAddsIsLetThrough(String sql) {
        assertThat(noticed(14, sql + ";\n-- they go on\ninsert into schema_compatibility (version, works_from) values ('14', '13');\n"))
                .isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"alter table a add column b text not null", "alter table a drop column b", "drop table a",
            "alter table a rename column b to c", "create unique index a_b on a (b)", "alter table a add constraint c check (b > 0)",
            "create table a (b text references c (d))", "update a set b = 1",
            "insert into schema_compatibility (version, works_from) values ('15', '13')",
            "insert into schema_compatibility (version, works_from) values ('14', '14')"})
    void whatAnOlderProgramNoticesIsNot(String sql) {
        assertThat(noticed(14, sql + ";\ninsert into schema_compatibility (version, works_from) values ('14', '13');\n"))
                .isNotEmpty();
        if (!sql.contains("schema_compatibility")) {
            assertThat(noticed(14, sql + ";\n")).as("nobody is told to go on").isEmpty();
        }
    }

    /** Statements of a migration that promises older programs to go on, but that these would notice. */
    private static List<String> noticed(int version, String sql) {
        if (!sql.contains("insert into schema_compatibility")) {
            return List.of();
        }
        return Arrays.stream(sql.replaceAll("--[^\n]*", "").split(";")).map(statement -> statement.strip().toLowerCase(Locale.ROOT))
                .filter(statement -> !statement.isEmpty()).filter(statement -> !unnoticed(version, statement)).toList();
    }

    private static boolean unnoticed(int version, String statement) {
        Matcher says = SAYS.matcher(statement);
        if (says.matches()) {
            return Integer.parseInt(says.group(1)) == version && Integer.parseInt(says.group(2)) < version;
        }
        // why: a row that refers to an older table would keep an older program from deleting there
        return UNNOTICED.stream().anyMatch(kind -> kind.matcher(statement).matches())
                && (!statement.contains(" references ") || statement.contains(" on delete "));
    }
}

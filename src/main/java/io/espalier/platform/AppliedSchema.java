package io.espalier.platform;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.TreeMap;

import org.flywaydb.core.api.MigrationVersion;

/**
 * What a database says about its tables.
 *
 * @param worksFrom each migration that was run, with the version that the oldest program knows that works with its tables: the migration's own where it
 *        says nothing
 */
record AppliedSchema(TreeMap<MigrationVersion, MigrationVersion> worksFrom) {

    static AppliedSchema of(Connection connection) throws SQLException {
        TreeMap<MigrationVersion, MigrationVersion> worksFrom = new TreeMap<>();
        if (there(connection, "flyway_schema_history")) {
            read(connection, "select version, version from flyway_schema_history where success and version is not null", worksFrom);
        }
        if (there(connection, "schema_compatibility")) {
            read(connection, "select c.version, c.works_from from schema_compatibility c"
                    + " join flyway_schema_history h on h.version = c.version and h.success", worksFrom);
        }
        return new AppliedSchema(worksFrom);
    }

    private static boolean there(Connection connection, String table) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet there = statement.executeQuery("select to_regclass('" + table + "') is not null")) {
            return there.next() && there.getBoolean(1);
        }
    }

    private static void read(Connection connection, String query, Map<MigrationVersion, MigrationVersion> into) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(query)) {
            while (rows.next()) {
                into.put(MigrationVersion.fromVersion(rows.getString(1)), MigrationVersion.fromVersion(rows.getString(2)));
            }
        }
    }

    /** The newest version of them. */
    MigrationVersion version() {
        return worksFrom.isEmpty() ? MigrationVersion.EMPTY : worksFrom.lastKey();
    }

    /** Whether a program that knows this version works with these tables: every newer migration has to say so. */
    boolean servesProgramOf(MigrationVersion known) {
        return worksFrom.tailMap(known, false).values().stream().allMatch(from -> from.compareTo(known) <= 0);
    }
}

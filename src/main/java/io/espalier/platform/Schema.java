package io.espalier.platform;

import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;

import io.espalier.platform.DatabaseSettings.Migrate;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.flywaydb.core.api.MigrationInfo;
import org.flywaydb.core.api.MigrationVersion;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.flyway.autoconfigure.FlywayMigrationStrategy;

/** Which version of the tables this program knows, and whether the database has it. */
final class Schema implements FlywayMigrationStrategy {

    private static final Logger log = LoggerFactory.getLogger(Schema.class);

    private final DatabaseAddress address;
    private final Duration wait;
    private final Migrate migrate;
    private final String program;
    private volatile MigrationVersion known;
    private volatile MigrationVersion served;

    /**
     * @param migrate whether to bring the database to the version this program knows, or to wait until somebody else has
     * @param program this program's version
     */
    Schema(DatabaseAddress address, Duration wait, Migrate migrate, String program) {
        this.address = address;
        this.wait = wait;
        this.migrate = migrate;
        this.program = program;
    }

    /**
     * @throws StartRefused when the database's schema is not one that this program can work with
     */
    @Override
    public void migrate(Flyway flyway) {
        List<MigrationInfo> all = List.of(flyway.info().all());
        known = all.stream().filter(info -> info.getState().isResolved()).map(MigrationInfo::getVersion).max(MigrationVersion::compareTo)
                .orElseThrow();
        DatabaseGate.await(address, wait, this::refused, "Start the database, then start again.");
        refuseChanged(all);
        if (migrate != Migrate.FALSE) {
            bring(flyway);
        } else {
            DatabaseGate.await(address, wait, this::missing, "Run the migrations: start one process with espalier.database.migrate=true "
                    + "(environment ESPALIER_DATABASE_MIGRATE), or this one.");
        }
    }

    private String refused() throws SQLException {
        applied();
        return null;
    }

    /** @throws StartRefused when these tables are not for this program any more */
    private AppliedSchema applied() throws SQLException {
        try (Connection connection = address.open("start", address.limits().connectTimeout())) {
            AppliedSchema there = AppliedSchema.of(connection);
            if (!there.servesProgramOf(known)) {
                throw new StartRefused("The database " + address.words() + ": " + newer(there.version()),
                        "Start the newer program. Tables are never taken back to an older version; restore a backup to go back.");
            }
            return there;
        }
    }

    private void refuseChanged(List<MigrationInfo> all) {
        List<String> changed = all.stream().filter(info -> info.getState().isApplied() && info.getState().isResolved())
                .filter(info -> info.getState().isFailed() || !info.isChecksumMatching())
                .map(info -> "V" + info.getVersion() + " (" + info.getDescription() + "): " + (info.getState().isFailed()
                        ? "failed when it was run"
                        : "checksum " + info.getAppliedChecksum() + " in the database (expected: " + info.getResolvedChecksum()
                                + ", that of the file in this program)"))
                .toList();
        if (!changed.isEmpty()) {
            throw new StartRefused(
                    "The tables of the database " + address.words() + " were made by other migrations than this program's:\n  "
                            + String.join("\n  ", changed),
                    "Use the program that made these tables, or another database. A migration that was run once is never edited; what is to "
                            + "change goes into a new one.");
        }
    }

    private void bring(Flyway flyway) {
        try {
            int run = flyway.migrate().migrationsExecuted;
            log.info("schema version {}, {} migrations run", known, run);
        } catch (FlywayException e) {
            log.debug("migration", e);
            throw new StartRefused(
                    "The tables of the database " + address.words() + " could not be brought to schema version " + known + ": "
                            + e.getMessage().strip(),
                    "Each migration is made whole or not at all, so nothing is half-done. Correct what the message "
                            + "names, then start again.");
        }
    }

    /** What keeps this program from working with the database as it is; {@code null}: nothing. */
    private String missing() throws SQLException {
        MigrationVersion there = applied().version();
        return there.compareTo(known) >= 0 ? null : "schema version " + words(there) + " (expected: " + known + ")";
    }

    /** Why this program must not touch the database any more; {@code null}: it may, also where newer tables say that they serve it. */
    String refusal(Connection connection) throws SQLException {
        AppliedSchema there = AppliedSchema.of(connection);
        if (!there.servesProgramOf(known)) {
            return newer(there.version());
        }
        if (there.version().isNewerThan(known) && !there.version().equals(served)) {
            served = there.version();
            log.info("schema version {} (known here: {}) says that this version {} may go on", served, known, program);
        }
        return null;
    }

    private String newer(MigrationVersion there) {
        return "schema version " + there + " (expected: " + known + ", which this version " + program
                + " knows): use the newer program";
    }

    private static String words(MigrationVersion version) {
        return version == MigrationVersion.EMPTY ? "none" : version.toString();
    }
}

package io.espalier.job;

import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;

import jakarta.persistence.EntityManager;
import jakarta.persistence.LockModeType;

import org.springframework.context.ApplicationEventPublisher;
import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Propagation;
import org.springframework.transaction.annotation.Transactional;

/**
 * How every verb takes a job and leaves it, in the verb's own transaction: the job's row is locked before anything of the job is changed, so that events
 * are numbered without gaps, and what became ready by the change is let into the queue with it.
 */
@Component
@Transactional(propagation = Propagation.MANDATORY)
class JobLedger {

    private final EntityManager entities;
    private final Admission admission;
    private final Clock clock;
    private final ApplicationEventPublisher listeners;

    JobLedger(EntityManager entities, Admission admission, Clock clock, ApplicationEventPublisher listeners) {
        this.entities = entities;
        this.admission = admission;
        this.clock = clock;
        this.listeners = listeners;
    }

    /** A job, its row locked until the transaction ends. */
    Optional<PruningJob> locked(String id) {
        return Optional.ofNullable(entities.find(PruningJob.class, id, LockModeType.PESSIMISTIC_WRITE));
    }

    /** @throws NoSuchJobException when there is none with this id */
    PruningJob known(String id) {
        return locked(id).orElseThrow(() -> new NoSuchJobException(id));
    }

    /** @return {@code null} when there is none */
    PruningJob unlocked(String id) {
        return entities.find(PruningJob.class, id);
    }

    /** @return {@code null} when there is none */
    Piece piece(String id, int number) {
        return entities.find(Piece.class, new Piece.Key(id, number));
    }

    Pieces pieces(String id) {
        return new Pieces(entities.createQuery("select p from Piece p where p.key.jobId = :id order by p.key.number", Piece.class)
                .setParameter("id", id).getResultList());
    }

    /** A piece that its worker still holds, with its job, whose row is locked. */
    record Held(PruningJob job, Piece piece, Pieces pieces) {}

    /** @throws LeaseLostException when the lease is no longer good */
    Held held(Lease lease) {
        PruningJob job = locked(lease.jobId()).orElse(null);
        Pieces pieces = job == null ? new Pieces(List.of()) : pieces(lease.jobId());
        Piece piece = pieces.at(lease.piece());
        if (piece == null || piece.attempt() != lease.attempt() || !piece.is(Piece.State.RUNNING)) {
            throw new LeaseLostException(lease, job);
        }
        job.held(pieces);
        return new Held(job, piece, pieces);
    }

    /** Records what happened, lets in what became ready by it, and tells who listens. */
    PruningJob changed(PruningJob job, List<JobEvent> events) {
        events.forEach(entities::persist);
        entities.flush();
        admission.admit(job, now());
        events.stream().filter(event -> event.type().equals(job.state().json())).reduce((_, last) -> last)
                .ifPresent(event -> listeners.publishEvent(new JobChanged(job, event)));
        return job;
    }

    /** By the database's clock, to the microsecond, as it is stored. */
    Instant now() {
        return clock.instant().truncatedTo(ChronoUnit.MICROS);
    }
}

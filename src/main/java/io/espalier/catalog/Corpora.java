package io.espalier.catalog;

import java.util.List;
import java.util.Optional;

import jakarta.persistence.EntityManager;

import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/** All corpora that have a name. */
@Component
@Transactional(readOnly = true)
public class Corpora {

    private final EntityManager entities;

    Corpora(EntityManager entities) {
        this.entities = entities;
    }

    public Optional<Corpus> find(String name) {
        return Optional.ofNullable(entities.find(Corpus.class, name));
    }

    /** By name. */
    public List<Corpus> list() {
        return entities.createQuery("select x from Corpus x order by x.name", Corpus.class).getResultList();
    }

    /** Registers a name, or lets it stand for something else. */
    @Transactional
    void register(Corpus entry) {
        if (find(entry.name()).filter(known -> known.path().equals(entry.path())).isEmpty()) {
            entities.merge(entry);
        }
    }
}

package io.espalier.catalog;

import java.util.List;
import java.util.Optional;

import jakarta.persistence.EntityManager;

import org.springframework.stereotype.Component;
import org.springframework.transaction.annotation.Transactional;

/** All models that have a name. */
@Component
@Transactional(readOnly = true)
public class Models {

    private final EntityManager entities;

    Models(EntityManager entities) {
        this.entities = entities;
    }

    public Optional<Model> find(String name) {
        return Optional.ofNullable(entities.find(Model.class, name));
    }

    /** By name. */
    public List<Model> list() {
        return entities.createQuery("select x from Model x order by x.name", Model.class).getResultList();
    }

    /** Registers a name, or lets it stand for something else. */
    @Transactional
    void register(Model entry) {
        if (find(entry.name()).filter(known -> known.path().equals(entry.path())).isEmpty()) {
            entities.merge(entry);
        }
    }
}

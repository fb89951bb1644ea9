package io.espalier.chaos;

/** When somebody is killed. */
enum Moment {
    /** Whenever it happens to be, a worker. */
    ANY,
    /** Whenever it happens to be, both workers at once. */
    ANY_BOTH,
    /** A worker that has just claimed a piece, before it could say a word about it. */
    CLAIMED,
    /** A worker that has stored a slice's statistics and is about to say so. */
    SLICE_STORED,
    /** A worker that measures what pruning cost. */
    CHECK,
    /** A worker that has measured the model it was given, and not yet told what pruning made of it. */
    CHECKED_ONCE,
    /** A worker in the phase publish. */
    PUBLISH,
    /** A worker that has moved the artifact and not yet recorded it. */
    MOVED,
    /** A worker in the middle of the transaction that publishes. */
    AMID_COMMIT,
    /** A worker, and the one that is started in its place as well, while it starts. */
    STARTING,
    /** A worker that was told to stop and is doing so. */
    DRAINING,
    /** A worker in the middle of a slice, told to stop with less time than the slice takes, as a pod that is evicted. */
    EVICTED,
    /** The API process, whenever it happens to be. */
    API,
    /** The API process, with an order on its way. */
    API_ORDERING
}

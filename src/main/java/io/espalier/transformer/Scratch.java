package io.espalier.transformer;

import java.util.ArrayList;
import java.util.List;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDScope;

/**
 * Everything made on this thread while this is open is freed when it closes, whichever manager it hangs on, but for what is {@link #keep kept}: that
 * goes to the scratch around this one. Tensors live outside the Java heap, so without this they would pile up until a manager closes.
 */
public final class Scratch implements AutoCloseable {

    private final NDScope scope = new NDScope();
    private final List<NDArray> kept = new ArrayList<>();

    /** Lets a result outlive this scratch. */
    public NDArray keep(NDArray result) {
        NDScope.unregister(result);
        kept.add(result);
        return result;
    }

    @Override
    public void close() {
        scope.close();
        kept.forEach(NDScope::register);
    }
}

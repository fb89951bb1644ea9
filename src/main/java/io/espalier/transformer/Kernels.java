package io.espalier.transformer;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Function;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValue;
import ai.djl.pytorch.jni.IValueUtils;
import ai.djl.pytorch.jni.JniUtils;

/**
 * The hot lines of the mathematics as whole functions of the engine: one call from Java for a handful of operations, and operations that DJL's arrays do
 * not have (silu and its gradient, index_add, casts to bfloat16). The source text below is all there is: the engine compiles it when it is first used.
 *
 * <p>
 * Weights may be float32, float64 or bfloat16; activations are cast to the weights' type for a matrix product, which accumulates in float32, and back.
 */
final class Kernels {

    /** Letters as in {@link GatedMlp}; {@code o} is an accumulator that is changed in place. */
    private static final String SOURCE = """
            def linear(self: __torch__.Ops, x: Tensor, w: Tensor) -> Tensor:
              return torch.type_as(torch.linear(torch.type_as(x, w), w), x)
            def times(self: __torch__.Ops, dy: Tensor, w: Tensor) -> Tensor:
              return torch.type_as(torch.matmul(torch.type_as(dy, w), w), dy)
            def cast(self: __torch__.Ops, x: Tensor, like: Tensor) -> Tensor:
              return torch.type_as(x, like)
            def bfloat16(self: __torch__.Ops, x: Tensor) -> Tensor:
              return torch.to(x, 15)
            def activations(self: __torch__.Ops, x: Tensor, wg: Tensor, wu: Tensor) -> Tensor:
              xw = torch.type_as(x, wg)
              return torch.mul_(torch.silu(torch.linear(xw, wg)), torch.linear(xw, wu))
            def taped(self: __torch__.Ops, x: Tensor, wg: Tensor, wu: Tensor) -> List[Tensor]:
              xw = torch.type_as(x, wg)
              g = torch.linear(xw, wg)
              u = torch.linear(xw, wu)
              return [torch.mul_(torch.silu(g), u), g, u]
            def project(self: __torch__.Ops, a: Tensor, wd: Tensor, like: Tensor) -> Tensor:
              return torch.type_as(torch.linear(a, wd), like)
            def gated(self: __torch__.Ops, x: Tensor, rows: Tensor, counts: List[int], wg: List[Tensor], wu: List[Tensor]) -> List[Tensor]:
              xs = torch.split_with_sizes(torch.type_as(torch.index_select(x, 0, rows), wg[0]), counts)
              g = torch.new_empty(wg[0], [torch.size(rows, 0), torch.size(wg[0], 0)])
              u = torch.new_empty(wg[0], [torch.size(rows, 0), torch.size(wg[0], 0)])
              gs = torch.split_with_sizes(g, counts)
              us = torch.split_with_sizes(u, counts)
              for i in range(torch.len(counts)):
                _0 = torch.mm(xs[i], torch.t(wg[i]), out=gs[i])
                _1 = torch.mm(xs[i], torch.t(wu[i]), out=us[i])
              return [g, u]
            def gate(self: __torch__.Ops, g: Tensor, u: Tensor) -> Tensor:
              return torch.mul_(torch.silu(g), u)
            def gate_in_place(self: __torch__.Ops, g: Tensor, u: Tensor) -> Tensor:
              return torch.mul_(torch.silu_(g), u)
            def project_rows(self: __torch__.Ops, o: Tensor, a: Tensor, rows: Tensor, slots: Tensor, counts: List[int], wd: List[Tensor], r: Tensor) -> Tensor:
              e = torch.new_empty(a, [torch.size(rows, 0), torch.size(o, 1)])
              es = torch.split_with_sizes(e, counts)
              _as = torch.split_with_sizes(a, counts)
              for i in range(torch.len(counts)):
                _0 = torch.mm(_as[i], torch.t(wd[i]), out=es[i])
              return torch.index_add_(o, 0, rows, torch.mul_(torch.type_as(e, o), torch.index_select(r, 0, slots)))
            def reverse_rows(self: __torch__.Ops, dx: Tensor, dr: Tensor, g: Tensor, u: Tensor, dy: Tensor, rows: Tensor, slots: Tensor, counts: List[int], wg: List[Tensor], wu: List[Tensor], wd: List[Tensor], r: Tensor) -> List[Tensor]:
              s = torch.silu(g)
              a = torch.mul(s, u)
              dys = torch.split_with_sizes(torch.type_as(torch.index_select(dy, 0, rows), g), counts)
              da = torch.empty_like(a)
              das = torch.split_with_sizes(da, counts)
              for i in range(torch.len(counts)):
                _0 = torch.mm(dys[i], wd[i], out=das[i])
              _1 = torch.index_add_(dr, 0, slots, torch.sum(torch.type_as(torch.mul(a, da), dy), [1], True))
              _2 = torch.mul_(da, torch.type_as(torch.index_select(r, 0, slots), da))
              dgs = torch.split_with_sizes(torch.silu_backward(torch.mul(u, da), g), counts)
              dus = torch.split_with_sizes(torch.mul_(s, da), counts)
              e = torch.new_empty(a, [torch.size(rows, 0), torch.size(dy, 1)])
              es = torch.split_with_sizes(e, counts)
              for i in range(torch.len(counts)):
                _3 = torch.mm(dgs[i], wg[i], out=es[i])
                _4 = torch.addmm_(es[i], dus[i], wu[i])
              _5 = torch.index_add_(dx, 0, rows, torch.type_as(e, dx))
              return [a, da]
            def reverse_to_activations(self: __torch__.Ops, dy: Tensor, rows: Tensor, slots: Tensor, counts: List[int], wd: List[Tensor], r: Tensor) -> Tensor:
              dys = torch.split_with_sizes(torch.type_as(torch.index_select(dy, 0, rows), wd[0]), counts)
              da = torch.new_empty(wd[0], [torch.size(rows, 0), torch.size(wd[0], 1)])
              das = torch.split_with_sizes(da, counts)
              for i in range(torch.len(counts)):
                _0 = torch.mm(dys[i], wd[i], out=das[i])
              return torch.mul_(da, torch.type_as(torch.index_select(r, 0, slots), da))
            def sums_of_squares(self: __torch__.Ops, x: Tensor, counts: List[int]) -> Tensor:
              squares = torch.split_with_sizes(torch.square_(torch.to(x, 7, False, True)), counts)
              sums = annotate(List[Tensor], [])
              for i in range(torch.len(counts)):
                _0 = torch.append(sums, torch.sum(squares[i], [0]))
              return torch.stack(sums)
            def reverse(self: __torch__.Ops, g: Tensor, u: Tensor, dy: Tensor, r: Tensor, wg: Tensor, wu: Tensor, wd: Tensor) -> List[Tensor]:
              s = torch.silu(g)
              da = torch.matmul(torch.type_as(dy, wd), wd)
              dr = torch.sum(torch.type_as(torch.mul_(torch.mul(s, u), da), r), [1], True)
              da0 = torch.mul_(da, torch.type_as(r, da))
              dg = torch.silu_backward(torch.mul(u, da0), g)
              du = torch.mul_(s, da0)
              dx = torch.addmm_(torch.matmul(dg, wg), du, wu)
              return [dr, torch.type_as(dx, r)]
            def split(self: __torch__.Ops, w: Tensor, size: int, dim: int) -> List[Tensor]:
              return torch.split(w, size, dim)
            def probabilities(self: __torch__.Ops, q: Tensor, k: Tensor, mask: Tensor, rows: int) -> Tensor:
              s = torch.bmm(q, torch.transpose(k, 1, 2))
              to = torch.size(k, 1)
              diagonal = torch.narrow(torch.view(s, [torch.size(k, 0), -1, rows, to]), 3, to - rows, rows)
              _0 = torch.add_(diagonal, torch.narrow(torch.narrow(mask, 0, 0, rows), 1, 0, rows))
              return torch.softmax(s, -1)
            def attend(self: __torch__.Ops, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
              n = torch.size(k, 0)
              s = torch.size(k, 1)
              d = torch.size(k, 2)
              b = torch.size(mask, 0)
              o = torch.empty_like(q)
              qs = torch.view(q, [n, -1, s, d])
              os = torch.view(o, [n, -1, s, d])
              for i in range((s + b - 1) // b):
                at = i * b
                rows = min(b, s - at)
                to = at + rows
                qb = torch.reshape(torch.narrow(qs, 2, at, rows), [n, -1, d])
                p = self.probabilities(qb, torch.narrow(k, 1, 0, to), mask, rows)
                ob = torch.bmm(p, torch.narrow(v, 1, 0, to))
                _0 = torch.copy_(torch.narrow(os, 2, at, rows), torch.view(ob, [n, -1, rows, d]))
              return o
            def attend_reverse(self: __torch__.Ops, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, do: Tensor) -> List[Tensor]:
              n = torch.size(k, 0)
              s = torch.size(k, 1)
              d = torch.size(k, 2)
              b = torch.size(mask, 0)
              dq = torch.empty_like(q)
              dk = torch.zeros_like(k)
              dv = torch.zeros_like(v)
              qs = torch.view(q, [n, -1, s, d])
              dqs = torch.view(dq, [n, -1, s, d])
              dos = torch.view(do, [n, -1, s, d])
              for i in range((s + b - 1) // b):
                at = i * b
                rows = min(b, s - at)
                to = at + rows
                qb = torch.reshape(torch.narrow(qs, 2, at, rows), [n, -1, d])
                dob = torch.reshape(torch.narrow(dos, 2, at, rows), [n, -1, d])
                kb = torch.narrow(k, 1, 0, to)
                p = self.probabilities(qb, kb, mask, rows)
                _0 = torch.add_(torch.narrow(dv, 1, 0, to), torch.bmm(torch.transpose(p, 1, 2), dob))
                dp = torch.bmm(dob, torch.transpose(torch.narrow(v, 1, 0, to), 1, 2))
                ds = torch._softmax_backward_data(dp, p, -1, ops.prim.dtype(p))
                _1 = torch.copy_(torch.narrow(dqs, 2, at, rows), torch.view(torch.bmm(ds, kb), [n, -1, rows, d]))
                _2 = torch.add_(torch.narrow(dk, 1, 0, to), torch.bmm(torch.transpose(ds, 1, 2), qb))
              return [dq, dk, dv]
            """;

    private static final NDManager MANAGER = NDManager.newBaseManager();
    private static final PtSymbolBlock OPS = load();

    private Kernels() {}

    /** x [n, in] times W' for W [out, in], in x's type. */
    static NDArray linear(NDArray x, NDArray w) {
        return call("linear", x, w).get(0);
    }

    /** dy [n, out] times W [out, in], in dy's type. */
    static NDArray times(NDArray dy, NDArray w) {
        return call("times", dy, w).get(0);
    }

    /** x in another array's type. */
    static NDArray cast(NDArray x, NDArray like) {
        return call("cast", x, like).get(0);
    }

    /** x in bfloat16, a type that DJL has no name for: such arrays go into these kernels and nowhere else. */
    static NDArray bfloat16(NDArray x) {
        return call("bfloat16", x).get(0);
    }

    /** a = silu(W_g x) * (W_u x), [n, width], in the weights' type. */
    static NDArray activations(NDArray x, NDArray gate, NDArray up) {
        return call("activations", x, gate, up).get(0);
    }

    /** E = W_d a, [n, hidden], in the type of {@code like}. */
    static NDArray project(NDArray a, NDArray down, NDArray like) {
        return call("project", a, down, like).get(0);
    }

    /**
     * {@link Attention}'s {@code softmax(q k' + mask) v}, as many queries at a time as the mask has rows, and of the keys only those that they may look at.
     *
     * @param q [n, G S, D]; k and v [n, S, D]
     * @param mask 0 and minus infinity, for the keys beside the queries
     * @return [n, G S, D]
     */
    static NDArray attend(NDArray q, NDArray k, NDArray v, NDArray mask) {
        return call("attend", q, k, v, mask).get(0);
    }

    /** The gradients of {@link #attend} with respect to q, k and v; the probabilities p are computed again. */
    static NDList attendReverse(NDArray q, NDArray k, NDArray v, NDArray mask, NDArray gradient) {
        return call("attend_reverse", q, k, v, mask, gradient);
    }

    /** Views of consecutive rows (dimension 0) or columns (1), {@code size} of them each. */
    static NDList split(NDArray w, int size, int dimension) {
        return run(manager(w), "split", tensor(w), IValue.from((long) size), IValue.from((long) dimension));
    }

    /** What {@link #taped} computes, of several MLPs at once, each for its own rows of x: g and u, [n, width]. */
    static NDList gated(NDArray x, Routed routed, List<GatedMlp> experts) {
        return run(manager(x), "gated", tensor(x), tensor(routed.rows()), counts(routed), tensors(experts, GatedMlp::gate),
                tensors(experts, GatedMlp::up));
    }

    /** a = silu(g) * u, [n, width]; without {@code keep}, g becomes a. */
    static NDArray gate(NDArray g, NDArray u, boolean keep) {
        return run(manager(g), keep ? "gate" : "gate_in_place", tensor(g), tensor(u)).get(0);
    }

    /** {@code o[rows] += r[slots] * W_d a}, for each expert with its own W_d and its own rows. */
    static void projectRows(NDArray o, NDArray a, Routed routed, List<GatedMlp> experts, NDArray r) {
        run(manager(o), "project_rows", tensor(o), tensor(a), tensor(routed.rows()), tensor(routed.slots()), counts(routed),
                tensors(experts, GatedMlp::down), tensor(r));
    }

    /**
     * {@link #reverse} of several MLPs at once, each for its own rows; {@code dx[rows]} and {@code dr[slots]} are added to.
     *
     * @return a and da, [n, width]
     */
    static NDList reverseRows(NDArray dx, NDArray dr, NDList gu, NDArray dy, Routed routed, List<GatedMlp> experts, NDArray r) {
        return run(manager(dx), "reverse_rows", tensor(dx), tensor(dr), tensor(gu.get(0)), tensor(gu.get(1)), tensor(dy),
                tensor(routed.rows()), tensor(routed.slots()), counts(routed), tensors(experts, GatedMlp::gate),
                tensors(experts, GatedMlp::up), tensors(experts, GatedMlp::down), tensor(r));
    }

    /** The da of {@link #reverseRows}, [n, width], the same operations in the same order; nothing else, and of the weights only W_d is looked at. */
    static NDArray reverseToActivations(NDArray dy, Routed routed, List<GatedMlp> experts, NDArray r) {
        return run(manager(dy), "reverse_to_activations", tensor(dy), tensor(routed.rows()), tensor(routed.slots()), counts(routed),
                tensors(experts, GatedMlp::down), tensor(r)).get(0);
    }

    /** Squares summed in float64 over the rows of each, [experts, width]. */
    static NDArray sumsOfSquares(NDArray x, long[] counts) {
        return run(manager(x), "sums_of_squares", tensor(x), IValue.listFrom(counts)).get(0);
    }

    /** The same and what it was made of: a, g = W_g x and u = W_u x, each [n, width], in the weights' type. */
    static NDList taped(NDArray x, NDArray gate, NDArray up) {
        return call("taped", x, gate, up);
    }

    /**
     * A gated MLP in reverse; {@link GatedMlp#reverse} says what it computes.
     *
     * @return dr [n, 1] and dx [n, hidden] in r's type
     */
    static NDList reverse(NDArray g, NDArray u, NDArray dy, NDArray r, NDArray gate, NDArray up, NDArray down) {
        return call("reverse", g, u, dy, r, gate, up, down);
    }

    /**
     * The tokens of a group of experts, expert after expert.
     *
     * @param rows where they are in x, [n]
     * @param slots where their router weights are, [n]
     * @param counts of each expert
     */
    record Routed(NDArray rows, NDArray slots, long[] counts) {}

    private static NDList call(String function, NDArray... arguments) {
        NDList inputs = new NDList(arguments);
        // the engine reads the function's name off one of the arrays; a marker array carries it
        try (NDArray marker = arguments[0].getManager().create(0)) {
            marker.setName("module_method:" + function);
            inputs.add(marker);
            return IValueUtils.forward(OPS, inputs, true);
        }
    }

    /** For functions that take lists. The engine runs them in its inference mode: what they return may be read, and changed only by such functions. */
    private static NDList run(PtNDManager manager, String function, IValue... arguments) {
        try (IValue result = IValueUtils.runMethod(OPS, function, arguments)) {
            return result.toNDList(manager);
        } finally {
            for (IValue argument : arguments) {
                argument.close();
            }
        }
    }

    private static PtNDManager manager(NDArray array) {
        return (PtNDManager) array.getManager();
    }

    private static IValue tensor(NDArray array) {
        return IValue.from((PtNDArray) array);
    }

    private static IValue tensors(List<GatedMlp> experts, Function<GatedMlp, NDArray> which) {
        return IValue.listFrom(experts.stream().map(which).toArray(PtNDArray[]::new));
    }

    private static IValue counts(Routed routed) {
        return IValue.listFrom(routed.counts());
    }

    /** The archive that the engine's loader reads: a version, the source, no constants, and one pickled object without state. */
    private static PtSymbolBlock load() {
        StringBuilder source = new StringBuilder("class Ops(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n");
        SOURCE.lines().forEach(line -> source.append("  ").append(line).append('\n'));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream archive = new ZipOutputStream(bytes)) {
            archive.setMethod(ZipOutputStream.STORED);
            store(archive, "ops/version", "10\n".getBytes(StandardCharsets.US_ASCII));
            store(archive, "ops/code/__torch__.py", source.toString().getBytes(StandardCharsets.UTF_8));
            store(archive, "ops/constants.pkl", new byte[]{(byte) 0x80, 2, ')', '.'});
            store(archive, "ops/data.pkl", pickle());
            archive.finish();
            return JniUtils.loadModule((PtNDManager) MANAGER, new ByteArrayInputStream(bytes.toByteArray()), true, false);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Pickle protocol 2: an instance of __torch__.Ops whose state is {@code {training: True}}. */
    private static byte[] pickle() {
        ByteArrayOutputStream p = new ByteArrayOutputStream();
        p.writeBytes(new byte[]{(byte) 0x80, 2});
        p.writeBytes("c__torch__\nOps\n".getBytes(StandardCharsets.US_ASCII));
        p.writeBytes(new byte[]{')', (byte) 0x81, '}', '(', 'X', 8, 0, 0, 0});
        p.writeBytes("training".getBytes(StandardCharsets.US_ASCII));
        p.writeBytes(new byte[]{(byte) 0x88, 'u', 'b', '.'});
        return p.toByteArray();
    }

    private static void store(ZipOutputStream archive, String name, byte[] content) throws IOException {
        ZipEntry entry = new ZipEntry(name);
        CRC32 sum = new CRC32();
        sum.update(content);
        entry.setSize(content.length);
        entry.setCompressedSize(content.length);
        entry.setCrc(sum.getValue());
        archive.putNextEntry(entry);
        archive.write(content);
        archive.closeEntry();
    }
}

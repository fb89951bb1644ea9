package io.espalier.transformer;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
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
            def project_rows(self: __torch__.Ops, o: Tensor, rows: Tensor, a: Tensor, wd: Tensor, r: Tensor) -> Tensor:
              e = torch.type_as(torch.linear(a, wd), o)
              return torch.index_add_(o, 0, rows, torch.mul_(e, r))
            def add_rows(self: __torch__.Ops, o: Tensor, rows: Tensor, v: Tensor) -> Tensor:
              return torch.index_add_(o, 0, rows, v)
            def rows(self: __torch__.Ops, x: Tensor, rows: Tensor) -> Tensor:
              return torch.index_select(x, 0, rows)
            def reverse(self: __torch__.Ops, g: Tensor, u: Tensor, dy: Tensor, r: Tensor, wg: Tensor, wu: Tensor, wd: Tensor) -> List[Tensor]:
              s = torch.silu(g)
              a = torch.mul(s, u)
              da = torch.matmul(torch.type_as(dy, wd), wd)
              dr = torch.sum(torch.type_as(torch.mul(a, da), dy), [1], True)
              da0 = torch.mul_(da, torch.type_as(r, da))
              du = torch.mul_(s, da0)
              dg = torch.silu_backward(torch.mul(u, da0), g)
              dx = torch.type_as(torch.matmul(dg, wg), dy)
              dx0 = torch.add_(dx, torch.matmul(du, wu))
              return [a, da0, dr, dx0]
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

    /** {@code o[rows] += r * W_d a}. */
    static void projectRows(NDArray o, NDArray rows, NDArray a, NDArray down, NDArray r) {
        call("project_rows", o, rows, a, down, r);
    }

    /** {@code o[rows] += v}. */
    static void addRows(NDArray o, NDArray rows, NDArray v) {
        call("add_rows", o, rows, v);
    }

    /** {@code x[rows]}. */
    static NDArray rows(NDArray x, NDArray rows) {
        return call("rows", x, rows).get(0);
    }

    /** The same and what it was made of: a, g = W_g x and u = W_u x, each [n, width], in the weights' type. */
    static NDList taped(NDArray x, NDArray gate, NDArray up) {
        return call("taped", x, gate, up);
    }

    /**
     * A gated MLP in reverse; {@link GatedMlp#reverse} says what it computes.
     *
     * @return a and da [n, width] in the weights' type, dr [n, 1] and dx [n, hidden] in dy's
     */
    static NDList reverse(NDArray g, NDArray u, NDArray dy, NDArray r, NDArray gate, NDArray up, NDArray down) {
        return call("reverse", g, u, dy, r, gate, up, down);
    }

    private static NDList call(String function, NDArray... arguments) {
        NDList inputs = new NDList(arguments);
        // the engine reads the function's name off one of the arrays; a marker array carries it
        try (NDArray marker = arguments[0].getManager().create(0)) {
            marker.setName("module_method:" + function);
            inputs.add(marker);
            return IValueUtils.forward(OPS, inputs, true);
        }
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

// As much of a safetensors file as is asked for, by ranges.

import { bytes } from "./api.js";

/** @returns {tensors, at}: the header's tensors, and where the data begins */
export async function header(path, signal) {
  const length = Number(new DataView(await bytes(path, 0, 7, signal)).getBigUint64(0, true));
  const text = new TextDecoder().decode(await bytes(path, 8, 7 + length, signal));
  return { tensors: JSON.parse(text), at: 8 + length };
}

/** Values from one index to another of a tensor of 64-bit floats or integers. */
export async function values(path, { tensors, at }, name, from, to, signal) {
  const tensor = tensors[name];
  const start = at + tensor.data_offsets[0] + 8 * from;
  const raw = await bytes(path, start, start + 8 * (to - from) - 1, signal);
  return tensor.dtype === "I64" ? Array.from(new BigInt64Array(raw), Number) : Array.from(new Float64Array(raw));
}

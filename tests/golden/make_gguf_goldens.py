#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/gguf/, written by the gguf package: a small file with every type of value, the same in two splits,
as version 2, and with those types alone that nibble writes.

usage: make_gguf_goldens.py     Needs: pip install gguf numpy
"""
import os
import numpy as np
import gguf

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gguf")


def tensors():
    """Element i of each is i - 2.5, exact in every type; the last is Q8_0 of small whole numbers."""
    ramp = lambda *shape: (np.arange(np.prod(shape)) - 2.5).astype(np.float32).reshape(shape)
    bf16 = gguf.quants.quantize(ramp(4, 2, 3), gguf.GGMLQuantizationType.BF16)
    yield "a.f32", ramp(2, 3), None
    yield "b.f16", ramp(7).astype(np.float16), None
    yield "c.bf16", bf16, gguf.GGMLQuantizationType.BF16
    x = (np.arange(128) % 255 - 127).astype(np.float32).reshape(2, 64)
    yield "d.q8_0", gguf.quants.quantize(x, gguf.GGMLQuantizationType.Q8_0), gguf.GGMLQuantizationType.Q8_0


def keys(w, written):
    if not written:
        other_keys(w)
    w.add_uint32("t.u32", 4000000000)
    w.add_float32("t.f32", 0.1)
    w.add_bool("t.yes", True)
    w.add_string("t.text", "h\u00e9llo")
    w.add_array("t.texts", ["", "one", "two words"])
    w.add_array("t.numbers", [3, 1, 2])
    w.add_array("t.floats", [0.5, -1.5])


def other_keys(w):
    w.add_uint8("t.u8", 200)
    w.add_int8("t.i8", -100)
    w.add_uint16("t.u16", 60000)
    w.add_int16("t.i16", -30000)
    w.add_int32("t.i32", -2000000000)
    w.add_uint64("t.u64", 2 ** 63 + 1)
    w.add_int64("t.i64", -2 ** 62)
    w.add_float64("t.f64", 0.1)
    w.add_bool("t.no", False)


def main():
    os.makedirs(HERE, exist_ok=True)
    for name, split in (("all.gguf", 0), ("parts.gguf", 2), ("written.gguf", 0)):
        w = gguf.GGUFWriter(os.path.join(HERE, name), "toy", split_max_tensors=split)
        keys(w, name == "written.gguf")
        for n, x, t in tensors():
            w.add_tensor(n, x, raw_dtype=t)
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
    data = bytearray(open(os.path.join(HERE, "all.gguf"), "rb").read())
    data[4] = 2
    open(os.path.join(HERE, "version2.gguf"), "wb").write(data)
    print({f: os.path.getsize(os.path.join(HERE, f)) for f in sorted(os.listdir(HERE))})


if __name__ == "__main__":
    main()

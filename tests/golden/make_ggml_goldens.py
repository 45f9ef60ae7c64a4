#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/ggml.bin: blocks of every type that nibble reads with their values by gguf.quants.dequantize, and
one text of floats as llama.cpp's own quantizer writes it (without an importance matrix).

usage: make_ggml_goldens.py     Needs: pip install gguf numpy xllamacpp
Checks on the way that llama.cpp's reader gives the same values. Layout: tests/golden/README.md.
"""
import ctypes, importlib.util, os, struct, sys
import numpy as np
import gguf
from gguf import GGMLQuantizationType as T

READ = [T.F32, T.F16, T.BF16, T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K,
        T.IQ4_NL, T.IQ4_XS]
WRITTEN = [T.Q8_0, T.Q4_0, T.Q4_1, T.Q4_K, T.IQ4_NL]
# where a block's half floats stand, so that none is NaN or infinite
HALVES = {T.F16: [0], T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q2_K: [80, 82],
          T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0]}


def library():
    folder = importlib.util.find_spec("xllamacpp").submodule_search_locations[0]
    return ctypes.CDLL(os.path.join(folder, "xllamacpp.abi3.so"))


class Traits(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("block", ctypes.c_int64), ("interleave", ctypes.c_int64),
                ("size", ctypes.c_size_t), ("quantized", ctypes.c_bool),
                ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64))]


def blocks(rng, t):
    block, size = gguf.GGML_QUANT_SIZES[t]
    n = max(3, 256 // block)
    b = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for at in HALVES.get(t, []):
        scale = (rng.standard_normal(n) * 2.0 ** rng.integers(-20, 4, n)).astype(np.float16)
        b[:, at:at + 2] = scale.view(np.uint8).reshape(n, 2)
    if t in (T.F32, T.BF16):
        b = (rng.standard_normal(n * block) * 2.0 ** rng.integers(-60, 60, n)).astype(np.float32).view(np.uint8)
        b = b.reshape(n, 4)[:, 4 - size:]
    return np.ascontiguousarray(b)


def main():
    rng = np.random.default_rng(20)
    lib = library()
    lib.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    out = [b"NBGGML01", struct.pack("<I", len(READ))]
    for t in READ:
        b = blocks(rng, t)
        x = gguf.quants.dequantize(b.reshape(-1), t).astype(np.float32).reshape(-1)
        if t != T.F32:
            y = np.zeros_like(x)
            lib.ggml_get_type_traits(int(t)).contents.to_float(b.ctypes.data, y.ctypes.data, ctypes.c_int64(y.size))
            same = np.array_equal(x.view(np.uint32), y.view(np.uint32))
            print(f"{t.name}: llama.cpp reads {'the same' if same else 'others, at most %g apart' % abs(x - y).max()}")
        out += [struct.pack("<III", int(t), x.size, b.size), b.tobytes(), x.tobytes()]
    # weights of a trained matrix are near normal within a row; a few rows have outliers
    x = rng.standard_normal((8, 256)).astype(np.float32) * 0.02
    x[5, ::37] *= 9
    x[6] = np.abs(x[6])
    x[7, 64:] = 0
    out += [struct.pack("<I", x.size), x.tobytes(), struct.pack("<I", len(WRITTEN))]
    for t in WRITTEN:
        block, size = gguf.GGML_QUANT_SIZES[t]
        b = np.zeros(x.size // block * size, np.uint8)
        n = lib.ggml_quantize_chunk(int(t), x.ctypes.data_as(ctypes.c_void_p), b.ctypes.data_as(ctypes.c_void_p),
                                    ctypes.c_int64(0), ctypes.c_int64(8), ctypes.c_int64(256), None)
        assert n == b.size
        out += [struct.pack("<II", int(t), b.size), b.tobytes()]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ggml.bin")
    open(path, "wb").write(b"".join(out))
    print(f"{path}: {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a GGUF file loses as llama.cpp runs it, the inputs of its matrices rounded to 8 bits: the KL divergence of its
predictions from those of the same model in floats, on the windows that `nibble kld` takes (512 tokens without BOS, second
halves). A line of JSON a text.

usage: kl_llama.py FLOATS.gguf FILE.gguf CHUNKS TEXT...
Needs: pip install xllamacpp numpy. FLOATS.gguf is an F32 file (`nibble export --gguf F --type f32`): of BF16 weights,
llama.cpp rounds the inputs to BF16.
"""
import json, sys
import numpy as np
import llama_lib


def log_softmax(x):
    x = x - x.max()
    return x - np.log(np.exp(x).sum())


def main():
    lib = llama_lib.library()
    base, file = (llama_lib.Model(lib, p) for p in sys.argv[1:3])
    half = llama_lib.CTX // 2
    scored = lambda i: half - 1 <= i < llama_lib.CTX - 1
    for path in sys.argv[4:]:
        ids = base.tokenize(open(path, "rb").read())
        assert ids == file.tokenize(open(path, "rb").read())
        chunks, kl, nll = int(sys.argv[3]), [], []
        for (window, p), (_, q) in zip(base.windows(ids, chunks, scored), file.windows(ids, chunks, scored)):
            for i in filter(scored, range(llama_lib.CTX)):
                a, b = log_softmax(p(i)), log_softmax(q(i))
                kl.append(float((np.exp(a) * (a - b)).sum()))
                nll.append(-float(a[window[i + 1]]))
        each = np.array(kl).reshape(-1, half).mean(axis=1)
        print(json.dumps(dict(text=path, kl_mean=float(each.mean()), kl_mean_se=float(each.std(ddof=1) / len(each) ** 0.5),
                              windows=len(each), ref_ppl=float(np.exp(np.mean(nll))))), flush=True)


if __name__ == "__main__":
    main()

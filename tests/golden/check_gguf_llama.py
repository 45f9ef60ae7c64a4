#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Ids, perplexity and log-probs of GGUF files by llama.cpp itself, to compare with `nibble`'s.

usage: check_gguf_llama.py NIBBLE FILE.gguf TEXT [CHUNKS]
       check_gguf_llama.py NIBBLE CHECKPOINT TEXT [CHUNKS] --calib TEXT [--type T,T]    exports of it, or of a BF16 GGUF
                                                                    file, that nibble calibrated, in types T (q4_0)
       check_gguf_llama.py NIBBLE CHECKPOINT TEXT [CHUNKS] --calib TEXT --by-llama ...  that llama.cpp's own quantizer made
Needs: pip install xllamacpp numpy (gguf with --by-llama); without it, the check says so and ends with 77.

Windows of 512 tokens without BOS; names of special tokens are those tokens (--special: WikiText's <unk> is one in some
vocabularies). llama.cpp rounds the inputs of matrices in blocks to 8 bits; nibble computes a GGUF file in floats. So a
file in blocks is checked twice: as it is, within what that rounding may cost, and dequantized to F32 (same weights, no
rounding in either program), where both must agree closely and write the same texts. Fails when ids differ; when texts
of F32 part where llama.cpp's two best logits are not within 0.01; when perplexities (second halves of the windows, as
nibble kld takes them) of a file in blocks are more than 1 % apart, or of its values in F32 more than 0.05 %; and when
log-probs of the text's tokens are farther from llama.cpp's than llama.cpp's own in blocks are from its own in floats
(root mean squares, 10 % allowed for), or those of nibble from those more than a tenth of it.
"""
import argparse, importlib.util, json, math, os, subprocess, sys, tempfile

AS_IS, IN_FLOATS = 0.01, 0.0005
TEXTS, NEW, TIE = 8, 48, 0.01  # written texts, their tokens, and logits so near that either token is right


def run(*a):
    return subprocess.run(a, capture_output=True, check=True, text=True).stdout


def rms(a, b):
    return float(((a - b) ** 2).mean() ** 0.5)


def compare(lib, nibble, path, text, chunks):
    """What both programs say of a file, and the log-probs of each, one a token."""
    import llama_lib
    m = llama_lib.Model(lib, path)
    ids = m.tokenize(open(text, "rb").read())
    ours = [int(x) for x in run(nibble, "tokenize", path, "-f", text).split()]
    theirs = m.logprobs(ids, chunks)
    windows = theirs.reshape(-1, llama_lib.CTX - 1)  # of each all tokens but the first
    ppl = float(math.exp(-windows[:, llama_lib.CTX // 2 - 1:].mean()))
    j = json.loads(run(nibble, "kld", path, path, "--text", text, "--ctx", str(llama_lib.CTX), "--chunks", str(chunks),
                       "--bos", "no", "--special", "--ref-kv", "f32", "--kv", "f32", "--json", "-q"))
    out = dict(file=os.path.basename(path), ids=len(ids), same_ids=ids == ours, llama_cpp=ppl, nibble=j["cand_ppl"],
               apart=abs(j["cand_ppl"] / ppl - 1), template=m.has_template())
    m.close()
    j = json.loads(run(nibble, "ppl", path, "--text", text, "--ctx", str(llama_lib.CTX), "--stride", str(llama_lib.CTX),
                       "--windows", str(len(windows)), "--bos", "no", "--special", "--kv", "f32", "--each", "--json", "-q"))
    import numpy as np
    each = np.array(j["logprobs"])  # the window's first token is predicted by the one before it, which llama.cpp's are not
    keep = np.arange(1, len(each) + 1) % llama_lib.CTX != 0
    return out, theirs, each[keep][:len(theirs)]


def write(lib, nibble, path, text):
    """The most likely continuations of lines of the text by both programs: how many are the same, how many part at a
    tie, how many otherwise."""
    import llama_lib
    m = llama_lib.Model(lib, path)
    lines = [s for s in (line.strip() for line in open(text, encoding="utf-8")) if 40 <= len(s) <= 400 and s.isascii()]
    same = ties = 0
    lines = lines[::max(1, len(lines) // TEXTS)][:TEXTS]
    for line in lines:
        ids, gaps = m.greedy(m.tokenize(line.encode(), special=True), NEW)
        theirs = m.text(ids)
        ours = json.loads(run(nibble, "generate", path, "-p", line, "--raw", "-n", str(NEW), "--ignore-eos", "--kv", "f32",
                              "--json", "-q"))["text"].encode()
        if ours == theirs: same += 1
        else:
            common = len(os.path.commonprefix([ours, theirs]))
            first = next(i for i in range(len(ids)) if len(m.text(ids[:i + 1])) > common)
            ties += gaps[first] < TIE
    m.close()
    return dict(same=same, ties=ties, otherwise=len(lines) - same - ties)


def check(lib, nibble, path, text, chunks):
    """Whether a file is as it should be."""
    with tempfile.TemporaryDirectory() as d:
        floats = os.path.join(d, "floats.gguf")
        run(nibble, "export", path, "--gguf", floats, "--type", "f32", "-q")
        out, blocks, ours = compare(lib, nibble, path, text, chunks)
        out_f, f32, ours_f = compare(lib, nibble, floats, text, chunks)
        out_f["written"] = write(lib, nibble, floats, text)
    rounding, off, off_f = rms(blocks, f32), rms(ours, blocks), rms(ours_f, f32)
    out.update(of_f32=out_f, rms=dict(llama_cpp_to_its_floats=rounding, nibble_to_llama_cpp=off, nibble_to_its_floats=off_f))
    print(json.dumps(out), flush=True)
    return (out["same_ids"] and out_f["same_ids"] and out["apart"] <= AS_IS and out_f["apart"] <= IN_FLOATS and
            out_f["written"]["otherwise"] == 0 and off <= 1.1 * max(rounding, off_f) and off_f <= max(0.1 * rounding, 1e-3))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("nibble"), p.add_argument("model"), p.add_argument("text")
    p.add_argument("chunks", nargs="?", type=int, default=8)
    p.add_argument("--calib"), p.add_argument("--type", default="q4_0"), p.add_argument("--tokens", default="16384")
    p.add_argument("--by-llama", action="store_true")
    a = p.parse_args()
    if not importlib.util.find_spec("xllamacpp"):
        print("SKIP: pip install xllamacpp")
        return 77
    import llama_lib
    lib, good = llama_lib.library(), True
    if not a.calib: return not check(lib, a.nibble, a.model, a.text, a.chunks)
    with tempfile.TemporaryDirectory() as d:
        importance, dense = None, os.path.join(d, "bf16.gguf")
        for kind in a.type.split(","):
            path = os.path.join(d, kind + ".gguf")
            if a.by_llama and not importance:
                run(a.nibble, "export", a.model, "--gguf", dense, "--type", "bf16", "-q")
                m = llama_lib.Model(lib, dense)
                ids = m.tokenize(open(a.calib, "rb").read())
                importance = m.importance(ids, int(a.tokens) // llama_lib.CTX)
                m.close()
            if a.by_llama: llama_lib.quantize(lib, dense, importance, kind, path)
            else: run(a.nibble, "export", a.model, "--gguf", path, "--type", kind, "--calib", a.calib, "--tokens", a.tokens, "-q")
            good &= check(lib, a.nibble, path, a.text, a.chunks)
    return not good


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Perplexity and ids of GGUF files by llama.cpp itself, to compare with `nibble kld` and `nibble tokenize`.

usage: check_gguf_llama.py NIBBLE FILE.gguf TEXT [CHUNKS]
       check_gguf_llama.py NIBBLE CHECKPOINT TEXT [CHUNKS] --calib TEXT [--type T]     a calibrated export of it, or of a
                                                                                      BF16 GGUF file, T (q4_0)
Needs: pip install xllamacpp numpy; without it, the check says so and ends with 77.

Windows of 512 tokens without BOS, of each the second half is scored, as nibble kld does with --bos no; names of
special tokens are those tokens (--special: WikiText's <unk> is one in some vocabularies). llama.cpp
rounds the inputs of matrices in blocks to 8 bits; nibble computes a GGUF file in floats. So a file in blocks is
checked twice: as it is, within what that rounding may cost, and dequantized to F32 (same weights, no rounding in either
program), where both must agree closely. Fails when ids differ, a file in blocks is more than 1 % apart, or its values
in F32 more than 0.05 %.
"""
import argparse, importlib.util, json, os, subprocess, sys, tempfile

AS_IS, IN_FLOATS = 0.01, 0.0005


def compare(lib, nibble, path, text_path, chunks):
    import llama_lib
    m = llama_lib.Model(lib, path)
    run = lambda *a: subprocess.run([nibble, *a], capture_output=True, check=True, text=True).stdout
    ids = m.tokenize(open(text_path, "rb").read())
    ours = [int(x) for x in run("tokenize", path, "-f", text_path).split()]
    theirs = m.perplexity(ids, chunks)
    j = json.loads(run("kld", path, path, "--text", text_path, "--ctx", str(llama_lib.CTX), "--chunks", str(chunks),
                       "--bos", "no", "--special", "--ref-kv", "f32", "--kv", "f32", "--json", "-q"))
    out = dict(file=os.path.basename(path), ids=len(ids), same_ids=ids == ours, llama_cpp=theirs, nibble=j["cand_ppl"],
               apart=abs(j["cand_ppl"] / theirs - 1), template=m.has_template())
    m.close()
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("nibble"), p.add_argument("model"), p.add_argument("text")
    p.add_argument("chunks", nargs="?", type=int, default=8)
    p.add_argument("--calib"), p.add_argument("--type", default="q4_0"), p.add_argument("--tokens", default="16384")
    a = p.parse_args()
    if not importlib.util.find_spec("xllamacpp"):
        print("SKIP: pip install xllamacpp")
        return 77
    import llama_lib
    lib, bad = llama_lib.library(), False
    with tempfile.TemporaryDirectory() as d:
        path = a.model
        export = lambda *more: subprocess.run([a.nibble, "export", *more, "-q"], check=True)
        if a.calib:
            path = os.path.join(d, "calibrated.gguf")
            export(a.model, "--gguf", path, "--type", a.type, "--calib", a.calib, "--tokens", a.tokens)
        floats = os.path.join(d, "floats.gguf")
        export(path, "--gguf", floats, "--type", "f32")
        for file, most in ((path, AS_IS), (floats, IN_FLOATS)):
            r = compare(lib, a.nibble, file, a.text, a.chunks)
            print(json.dumps(r), flush=True)
            bad |= not r["same_ids"] or not r["apart"] <= most
    return bad


if __name__ == "__main__":
    sys.exit(main())

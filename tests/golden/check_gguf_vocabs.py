#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares nibble's reading of llama.cpp's vocabulary files with the ids that their Hugging Face tokenizers give, which
lie beside them (ggml-vocab-NAME.gguf, .inp, .out in the folder models of its source).

usage: check_gguf_vocabs.py DUMP FOLDER     DUMP is the program tests/tokenizer_dump.c
"""
import glob, os, struct, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check_tokenizers import records


def main():
    dump, folder = sys.argv[1:]
    bad = 0
    for path in sorted(glob.glob(os.path.join(folder, "*.gguf"))):
        name = os.path.basename(path)
        if not os.path.exists(path + ".inp"):
            continue
        texts = open(path + ".inp", encoding="utf-8", newline="").read().split("\n__ggml_vocab_test__\n")[:-1]
        want = [[int(x) for x in line.split()] for line in open(path + ".out").read().splitlines()]
        data = b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in texts))
        r = subprocess.run([dump, path, "stdin"], input=data, capture_output=True)
        if r.returncode:
            print(f"{name}: {r.stderr.decode().strip()}")
            continue
        got = [ids for _, ids, _, _ in records(r.stdout)]
        # .out has no special tokens; what the template puts before every text is what an empty one becomes
        before = got[texts.index("")] if "" in texts else []
        got = [ids[len(before):] if ids[:len(before)] == before else ids for ids in got]
        n = sum(a != b for a, b in zip(got, want))
        bad += n
        print(f"{name}: {len(texts)} texts, {n} differ (each begins with {before})")
        for t, a, b in [x for x in zip(texts, got, want) if x[1] != x[2]][:3]:
            print(f"  {t!r}\n    nibble {a}\n    HF     {b}")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()

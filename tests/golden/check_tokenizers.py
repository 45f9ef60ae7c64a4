#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares nibble's tokenizer with Hugging Face's `tokenizers`: ids, decoded text with and without special
tokens, on hostile strings and, where there is one, on every question and choice of an MMLU directory.

usage: check_tokenizers.py DUMP [--mmlu DIR] [--seed S] [--n N] TOKENIZER_DIR...
DUMP is the program tests/tokenizer_dump.c.  Needs: pip install tokenizers
"""
import argparse, csv, glob, io, json, os, struct, subprocess, sys, tarfile, zipfile


def load(directory):
    """tokenizer.json as `tokenizers` reads it. Merges whose tokens hold spaces are ambiguous as strings, and
    refused; they are made pairs first."""
    from tokenizers import Tokenizer
    text = open(os.path.join(directory, "tokenizer.json"), encoding="utf-8").read()
    try:
        return Tokenizer.from_str(text)
    except Exception:
        j = json.loads(text)
        v = j["model"]["vocab"]
        pairs = []
        for m in j["model"]["merges"]:
            if isinstance(m, str):
                ways = [(m[:i], m[i + 1:]) for i in range(len(m)) if m[i] == " "]
                ways = [(a, b) for a, b in ways if a in v and b in v and a + b in v]
                assert len(ways) == 1, m
                m = list(ways[0])
            pairs.append(m)
        j["model"]["merges"] = pairs
        return Tokenizer.from_str(json.dumps(j, ensure_ascii=False))


def records(data):
    at = 0
    def field(size):
        nonlocal at
        n, = struct.unpack_from("<I", data, at)
        b = data[at + 4:at + 4 + n * size]
        at += 4 + n * size
        return b
    while at < len(data):
        text, ids, full, bare = field(1), field(4), field(1), field(1)
        yield text, list(struct.unpack(f"<{len(ids) // 4}i", ids)), full.decode(), bare.decode()


def mmlu_texts(directory):
    for path in sorted(glob.glob(os.path.join(directory, "**", "*.csv"), recursive=True)):
        with open(path, newline="", encoding="utf-8") as f:
            for row in csv.reader(f):
                yield from row


def compare(name, tok, data):
    n = bad = 0
    # special tokens that are matched in normalized text keep their normalized spelling in `tokenizers`, so that
    # it no longer knows them as special; nibble leaves them out, as its versions before 0.22 did
    renamed = any(t.special and t.normalized for t in tok.get_added_tokens_decoder().values()) and tok.normalizer
    for text, ids, full, bare in records(data):
        s = text.decode("utf-8", errors="replace")
        want = tok.encode(s, add_special_tokens=True).ids
        checks = [(ids, want), (full, tok.decode(want, skip_special_tokens=False))]
        if not renamed:
            checks.append((bare, tok.decode(want, skip_special_tokens=True)))
        n += 1
        for got, expected in checks:
            if got != expected:
                bad += 1
                if bad <= 5:
                    print(f"  {name}: {s!r}\n    nibble       {got!r}\n    tokenizers   {expected!r}")
                break
    print(f"{name}: {n} strings, {bad} differ")
    return bad


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dump")
    p.add_argument("dirs", nargs="+")
    p.add_argument("--mmlu")
    p.add_argument("--seed", default="1")
    p.add_argument("--n", default="10000")
    a = p.parse_args()
    bad = 0
    for d in a.dirs:
        tok = load(d)
        data = subprocess.run([a.dump, d, "hostile", a.seed, a.n], stdout=subprocess.PIPE, check=True).stdout
        bad += compare(d + " hostile", tok, data)
        if a.mmlu:
            texts = b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in mmlu_texts(a.mmlu)))
            data = subprocess.run([a.dump, d, "stdin"], input=texts, stdout=subprocess.PIPE, check=True).stdout
            bad += compare(d + " mmlu", tok, data)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()

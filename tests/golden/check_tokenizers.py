#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares nibble's tokenizer with transformers' and `tokenizers`, or with tiktoken: ids, decoded text with and without special
tokens, on hostile strings and, where there is one, on every question and choice of an MMLU directory.

usage: check_tokenizers.py DUMP [--mmlu DIR] [--seed S] [--n N] TOKENIZER_DIR...
DUMP is the program tests/tokenizer_dump.c; tokenizer.json may be packed (.gz).  Needs: pip install transformers tiktoken
"""
import argparse, base64, csv, glob, gzip, json, os, struct, subprocess, sys, tempfile, types, zlib


# The files that say what a tokenizer is, under the name that nibble reads and those under which they may be stored.
STORED = [("tokenizer.json", ["tokenizer.json.gz", "tokenizer.derived.json.gz"]), ("cl100k_base.tiktoken", []),
          ("tokenizer_config.json", []), ("special_tokens_map.json", []), ("added_tokens.json", [])]


def unpack(directory, to):
    """Copies the files of a tokenizer, unpacked, into a directory; their CRC-32, taken one after the other."""
    crc = 0
    for name, packed in STORED:
        for stored in [name] + packed:
            path = os.path.join(directory, stored)
            if os.path.exists(path):
                data = (gzip.open if stored.endswith(".gz") else open)(path, "rb").read()
                crc = zlib.crc32(data, crc)
                with open(os.path.join(to, name), "wb") as f:
                    f.write(data)
                break
    return crc


class Tiktoken:
    """tiktoken with phi-3-small's special tokens, in the shape of `tokenizers`."""
    def __init__(self, path):
        import tiktoken
        from tiktoken_ext import openai_public
        ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in open(path, "rb") if line.strip())}
        keep, openai_public.load_tiktoken_bpe = openai_public.load_tiktoken_bpe, lambda *a, **k: ranks
        pattern = openai_public.cl100k_base()["pat_str"]  # everything but the ranks, which it would fetch
        openai_public.load_tiktoken_bpe = keep
        special = {100257: "endoftext", 100258: "fim_prefix", 100259: "fim_middle", 100260: "fim_suffix",
                   100261: "system", 100262: "user", 100263: "assistant", 100264: "dummy_id_0", 100265: "dummy_id_1",
                   100266: "end", 100276: "endofprompt"}
        dummies = (f"dummy_id_{i}" for i in range(2, 1000))
        names = {special[i] if i in special else next(dummies): i for i in range(100256, 100352)}
        self.special = {f"<|{name}|>": i for name, i in names.items()}
        self.enc = tiktoken.Encoding("phi3small", pat_str=pattern, mergeable_ranks=ranks, special_tokens=self.special)
        self.normalizer = None

    def encode(self, s, add_special_tokens=True):
        return types.SimpleNamespace(ids=self.enc.encode(s, allowed_special="all"))

    def decode(self, ids, skip_special_tokens=True):
        return self.enc.decode([i for i in ids if not skip_special_tokens or i < 100256], errors="replace")

    def get_added_tokens_decoder(self):
        return {}


def load(directory):
    """The tokenizer as transformers 5 reads it from these files, or tiktoken. Merges whose tokens hold spaces are
    ambiguous as strings, and refused; they are made pairs first."""
    if not os.path.exists(os.path.join(directory, "tokenizer.json")):
        return Tiktoken(os.path.join(directory, "cl100k_base.tiktoken"))
    from transformers import PreTrainedTokenizerFast
    try:
        return PreTrainedTokenizerFast.from_pretrained(directory)._tokenizer
    except Exception:
        j = json.load(open(os.path.join(directory, "tokenizer.json"), encoding="utf-8"))
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
        with tempfile.TemporaryDirectory() as d:
            unpack(directory, d)
            json.dump(j, open(os.path.join(d, "tokenizer.json"), "w", encoding="utf-8"), ensure_ascii=False)
            return PreTrainedTokenizerFast.from_pretrained(d)._tokenizer


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
    for given in a.dirs:
        scratch = tempfile.TemporaryDirectory()
        d = scratch.name
        unpack(given, d)
        tok = load(d)
        data = subprocess.run([a.dump, d, "hostile", a.seed, a.n], stdout=subprocess.PIPE, check=True).stdout
        bad += compare(given + " hostile", tok, data)
        if a.mmlu:
            texts = b"".join(struct.pack("<I", len(b)) + b for b in (t.encode() for t in mmlu_texts(a.mmlu)))
            data = subprocess.run([a.dump, d, "stdin"], input=texts, stdout=subprocess.PIPE, check=True).stdout
            bad += compare(given + " mmlu", tok, data)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()

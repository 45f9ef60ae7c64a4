#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the texts in this folder: pieces of whole paragraphs, spread evenly over longer texts.

usage: make.py DOMAINS    a folder with calib_chat.jsonl and calib_{code,math,multi,stories,web}.txt (see README.md)

WikiText is left out on purpose: its validation and test splits are what quantized models are measured on.
"""
import pathlib
import re
import sys

PIECES = 12
BYTES = {"code": 170_000, "math": 110_000, "multi": 150_000, "stories": 150_000, "web": 150_000}


def paragraphs(text):
    """Without plays and films, whose rights are less clear; a long one falls into its lines."""
    for p in re.split(r"\n\n+", text):
        if len(re.findall(r"^\W*[A-Z][A-Z' ]+: ", p, flags=re.M)) >= 5:
            continue
        yield from [p + "\n\n"] if len(p) < 4000 else p.splitlines(keepends=True)


def pieces(text, n_bytes):
    """PIECES pieces of whole paragraphs, n_bytes of UTF-8 in all, more or less."""
    parts = list(paragraphs(text))
    total, seen, out = sum(map(len, parts)), 0, [[] for _ in range(PIECES)]
    room = [n_bytes // PIECES] * PIECES
    for p in parts:
        i = seen * PIECES // total
        seen += len(p)
        if room[i] > 0:
            out[i].append(p)
            room[i] -= len(p.encode())
    return "\n".join("".join(o).strip("\n") + "\n" for o in out)


def main():
    source, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
    for kind, n_bytes in BYTES.items():
        text = (source / f"calib_{kind}.txt").read_text(encoding="utf-8")
        (here / f"{kind}.txt").write_text(pieces(text, n_bytes), encoding="utf-8")
    (here / "chat.jsonl").write_bytes((source / "calib_chat.jsonl").read_bytes())


if __name__ == "__main__":
    main()

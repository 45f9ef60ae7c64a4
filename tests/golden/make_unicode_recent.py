#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes lib/base/unicode_recent.h: the characters that Unicode 15, 15.1 and 16 added, by general category, as the regular
expressions of Hugging Face's `tokenizers` (Oniguruma, Unicode 16) classify them.

usage: make_unicode_recent.py UnicodeData-14.0.0.txt     Needs: pip install tokenizers
"""
import os, sys

from tokenizers import Regex, pre_tokenizers

CATEGORIES = ["Lu", "Ll", "Lm", "Lo", "M", "Nd", "No", "P", "S"]


def members(pattern):
    split, out = pre_tokenizers.Split(Regex(pattern), "removed"), set()
    for base in range(0, 0x110000, 0x1000):
        s = "".join(chr(c) for c in range(base, base + 0x1000) if not 0xD800 <= c < 0xE000)
        if s:
            out |= set(s) - set("".join(part for part, _ in split.pre_tokenize_str(s)))
    return {ord(c) for c in out}


def assigned(path):
    out, first = set(), 0
    for line in open(path, encoding="ascii"):
        code, name = line.split(";")[:2]
        c = int(code, 16)
        if name.endswith(", First>"):
            first = c
        elif name.endswith(", Last>"):
            out.update(range(first, c + 1))
        else:
            out.add(c)
    return out


def main():
    old = assigned(sys.argv[1])
    rows = []
    for cat in CATEGORIES:
        new = sorted(members(r"\p{%s}" % cat) - old)
        for c in new:
            if rows and rows[-1][2] == cat and rows[-1][1] == c - 1:
                rows[-1][1] = c
            else:
                rows.append([c, c, cat])
    rows.sort()
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../lib/base/unicode_recent.h")
    with open(path, "w") as f:
        f.write("/* SPDX-License-Identifier: MIT */\n/* Written by tests/golden/make_unicode_recent.py: the characters that came "
                "after Unicode 14, which the\n * libraries of some systems do not know yet, with their general category (M, P and "
                "S stand for all of theirs). */\n#ifndef NB_UNICODE_RECENT_H\n#define NB_UNICODE_RECENT_H\n\n#include <stdint.h>\n\n"
                "static const struct {\n  uint32_t first, last;\n  char category[3];\n} unicode_recent[] = {\n")
        for i in range(0, len(rows), 3):
            f.write("    " + " ".join('{0x%x, 0x%x, "%s"},' % tuple(r) for r in rows[i:i + 3]) + "\n")
        f.write("};\n\n#endif\n")


if __name__ == "__main__":
    main()

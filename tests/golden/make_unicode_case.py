#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes lib/base/unicode_case.h: the characters whose upper or title case is several characters (Unicode's
SpecialCasing.txt, without conditions), as Python's str.upper and str.title have it.

usage: make_unicode_case.py
"""
import os

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    rows = []
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000:
            continue
        up, title = chr(c).upper(), chr(c).title()
        if len(up) > 1 or len(title) > 1:
            three = lambda s: "{" + ", ".join(hex(ord(x)) for x in s) + "}"
            rows.append(f"{{{hex(c)}, {three(up)}, {three(title)}}}")
    with open(os.path.join(HERE, "..", "..", "lib", "base", "unicode_case.h"), "w") as f:
        f.write("""/* SPDX-License-Identifier: MIT */
/* Written by tests/golden/make_unicode_case.py: characters whose upper or title case is several characters. */
#ifndef NB_UNICODE_CASE_H
#define NB_UNICODE_CASE_H

#include <stdint.h>

static const struct {
  uint32_t cp, upper[3], title[3]; /* 0: no more */
} unicode_case[] = {
""")
        line = "   "
        for i, row in enumerate(rows):
            item = " " + row + ("," if i + 1 < len(rows) else "")
            if len(line + item) > 118:
                f.write(line + "\n")
                line = "   "
            line += item
        f.write(line + "\n};\n\n#endif\n")


if __name__ == "__main__":
    main()

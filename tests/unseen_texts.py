#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Texts of eight kinds from a Debian system and from two sets of questions, none of them of the sources of the calib_ and
held_ texts: OUT/held_KIND.txt, some 120 kB each. To measure on, never to calibrate on or to choose by.

usage: unseen_texts.py DATA OUT

DATA: the folder with mmlu/test and mcq/piqa. What a system has differs a little by its version."""
import csv, glob, json, os, subprocess, sys

PIECES, SIZE = 40, 3000


def read(paths):
    return "".join(open(p, encoding="utf-8", errors="replace").read() for p in paths)


def scripts():
    for p in sorted(glob.glob("/usr/bin/*") + glob.glob("/usr/sbin/*") + glob.glob("/usr/lib/git-core/*")):
        if os.path.isfile(p) and not os.path.islink(p):
            with open(p, "rb") as f:
                line = f.readline(100)
            if line.startswith(b"#!") and line.rstrip().endswith(b"sh"): yield p


def manual(page):
    return subprocess.run(f"man {page} | col -b", shell=True, capture_output=True, text=True).stdout


def exams(data):
    for p in sorted(glob.glob(data + "/mmlu/test/*.csv")):
        for row in list(csv.reader(open(p, encoding="utf-8")))[:12]:
            yield row[0] + "\n" + "".join(f"{a}. {x}\n" for a, x in zip("ABCD", row[1:5])) + f"Answer: {row[5]}\n\n"


def main():
    data, out = sys.argv[1:]
    piqa = [json.loads(line) for line in open(data + "/mcq/piqa/valid.jsonl", encoding="utf-8")]
    labels = open(data + "/mcq/piqa/valid-labels.lst").read().split()
    kinds = {
        "headers": read(sorted(glob.glob("/usr/include/linux/*.h"))),
        "manuals": "".join(map(manual, "bash tar find gcc make sed gawk grep curl ssh".split())),
        "licences": read(sorted(glob.glob("/usr/share/common-licenses/*"))),
        "shell": read(scripts()),
        "markup": read(["/usr/share/mime/packages/freedesktop.org.xml"]),
        "perl": read(sorted(glob.glob("/usr/share/perl/5*/*.pm"))),
        "exams": "".join(exams(data)),
        "instructions": "".join(q["goal"] + "\n" + q["sol" + str(1 + int(a))] + "\n\n" for q, a in zip(piqa, labels)),
    }
    os.makedirs(out, exist_ok=True)
    for kind, text in kinds.items():
        step = max(1, len(text) // PIECES)
        if len(text) < PIECES * SIZE // 2: sys.exit(f"unseen_texts.py: this system has too little of {kind}")
        with open(f"{out}/held_{kind}.txt", "w", encoding="utf-8") as f:
            f.writelines(text[i * step:i * step + min(SIZE, step)] for i in range(PIECES))


if __name__ == "__main__":
    main()

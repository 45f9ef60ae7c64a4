#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goldens of IFEval's words in capitals: tests/golden/capitals.json, texts with the number of their tokens that are capitals.

usage: make_capital_goldens.py          (pip install nltk==3.10.4)

lm-evaluation-harness counts tokens of nltk.word_tokenize for which str.isupper() holds. That is NLTKWordTokenizer over the
sentences that Punkt finds; whole texts are put to it here, since where sentences end changes no count.
"""
import json, random
from pathlib import Path

from nltk.tokenize.destructive import NLTKWordTokenizer

WORDS = ("HELLO World I'M don't DON'T CAN'T CANNOT cannot AT&T A,B A, B: C; D-E F/G U.S.A. \"QUOTED\" 'TIS 'Single' (PAREN) "
         "[X]Y {A}B 3,000 GONNA GIMME WANNA MORE'N D'YE O'CLOCK THEY'LL WE'RE I'VE HE'D IT'S 5:30 A.B. END. --DASH-- A--B "
         "X...Y A@B #TAG 50% $5 “SMART” ‘S’ «F» Ünï É ß Ⅷ WHAT?! STAR*S `TICK` A’B J'AI `` '' ' \" A' 'B C'S ''D'' E''F").split(" ")
rng, tokenizer, out = random.Random(5), NLTKWordTokenizer(), []
for i in range(200):
    text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 9)))
    if rng.random() < 0.3:
        text = text.replace(" ", rng.choice(["\n", "  ", "", " \t"]), 1)
    out.append({"text": text, "capitals": sum(1 for t in tokenizer.tokenize(text) if t.isupper())})
with open(Path(__file__).parent / "capitals.json", "w", encoding="utf-8") as f:
    f.write("[\n" + ",\n".join(json.dumps(t, ensure_ascii=False) for t in out) + "\n]\n")

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes sentences.json: texts and their numbers of sentences by NLTK's Punkt (`pip install nltk`, 3.9 or later).

The program is NLTK's; its English model is not here, and what nibble does not know of it (which words were seen in upper
or lower case) is drawn by chance for every text. Which abbreviations, and words that begin sentences, the model knows
is read from eval/sentences.c. So each count must lie in the range that nb_sentences_count gives, and equal it where
that is one number. usage: make_sentence_goldens.py [TEXTS] >sentences.json
"""
import json, random, re, sys
from pathlib import Path
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

SOURCE = Path(__file__).resolve().parents[2] / "eval/sentences.c"


def known(name):
    value = re.search(rf"\b{name} =\s*((?:\"[^\"]*\"\s*(?:/\*[^*]*\*/\s*)?)+);", SOURCE.read_text()).group(1)
    return " ".join(re.findall(r'"([^"]*)"', value)).split()


TITLES, OTHERS, LETTERS = known("titles"), known("abbreviations"), list(known("letters")[0])
STARTERS, AFTER_NUMBERS = known("starters"), known("after_numbers")
POINTS = ["u.s", "p.m", "a.m", "ph.d", "u.k", "w.va", "d.c"]
WORDS = ("the of and it runs river stone seven people were in a quiet house near who said that every bird knows its name "
         "he letters review Review Letters The It However Some Bird Stone Anna London Smith café ça Ärger 東京 e-mail x-c "
         "mid-sept foo_bar 12 3.5 1,000 -7 etc e.g i.e no No A B C D I J x _ é a.b example.com").split()
MARKS = [".", "?", "!", "...", ". . .", '."', ".)", '?"', "!)", "?!", "!!!", "--", ".\n", "\n1.", ".”", "’", ".'", ":",
         ".*", "**", "(", " .", ";", ".,", "...)", " ...", "\t", "\u00a0", ",", '"', "“", ".]", ".}", "».", ".»", ".--", "…"]


def text(rng):
    out = []
    for _ in range(rng.randrange(1, 40)):
        kind = rng.random()
        if kind < 0.16:
            w = rng.choice(TITLES + OTHERS + LETTERS + POINTS + ["e.g", "i.e", "J", "a", "12", "7"])
            out.append((w.capitalize() if rng.random() < 0.5 else w) + ".")
        else:
            out.append(rng.choice(WORDS if rng.random() < 0.75 else STARTERS + [w.capitalize() for w in STARTERS]))
            if rng.random() < 0.35:
                out[-1] += rng.choice(MARKS)
    return "".join(w + rng.choice([" "] * 12 + ["\n", "  ", "\n\n", ""]) for w in out)


def model(rng=None, words=()):
    """What nibble knows of Punkt's English model, and the rest by chance for these words; without rng: nothing else."""
    p = PunktParameters()
    p.abbrev_types = set(TITLES) | set(OTHERS) | set(LETTERS) | {". . "}
    p.abbrev_types |= {w for w in POINTS if not rng or rng.random() < 0.7}
    p.sent_starters = set(STARTERS)
    p.collocations = {("##number##", w) for w in AFTER_NUMBERS}
    for w in words:
        p.ortho_context[w] = rng.randrange(128)
    for w in STARTERS:
        p.ortho_context[w] |= 1 << 5  # seen in lower case
    return p


def main():
    rng, rows = random.Random(17), []
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 400):
        t = text(rng)
        words = {w for tok in re.split(r"[\s\"'()]+", t.lower()) for w in (tok, tok.rstrip("."), tok.rstrip(".,;:!?"))}
        rows.append({"text": t, "sentences": len(PunktSentenceTokenizer(model(rng, words)).tokenize(t))})
    print("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]")


if __name__ == "__main__":
    main()

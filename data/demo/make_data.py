#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A synthetic multiple-choice set in MMLU's form, and training text for it. Standard library only; a seed fixes it all.

usage: make_data.py OUT_DIR [--seed S] [--calibrate FILE]
writes OUT_DIR/{dev,val,test}/SUBJECT_{dev,val,test}.csv (rows: question, A, B, C, D, letter; no header), and to FILE
text to calibrate a quantizer with: prompts of train questions.

Eight subjects of two kinds.
- Facts (antonyms, calendar, invented_geography, invented_history, number_words, taxonomy): each fact can be asked in
  several wordings. One or two wordings of each fact belong to test, one to val or dev, the others to train: the model
  has seen the fact, and the wording on other facts, but never this question.
- Rules (arithmetic, list_puzzles): a question's content picks its split by a hash, so that no sum or list of test is
  in train, in any wording.
"""
import argparse, csv, hashlib, os, random

LETTERS = "ABCD"
SHOTS, VAL, TEST = 5, 36, 100  # questions a subject in dev, val, test

ANTONYMS = """hot cold|big small|fast slow|happy sad|light dark|old young|rich poor|strong weak|tall short|wet dry
hard soft|early late|full empty|clean dirty|loud quiet|open closed|near far|high low|thick thin
wide narrow|deep shallow|heavy weightless|brave afraid|cheap costly|sharp blunt|smooth rough
sweet bitter|alive dead|awake asleep|easy difficult|safe dangerous|true false|first last|top bottom
inside outside|left right|up down|day night|summer winter|north south|east west|begin end|push pull
give take|buy sell|win lose|love hate|laugh cry|come go|rise fall|build destroy|accept refuse
arrive depart|attack defend|float sink|forget remember|freeze melt|grow shrink|join separate
lend borrow|find hide|question answer|friend enemy|victory defeat|success failure|peace war
heaven hell|entrance exit|beauty ugliness|truth lie|noise silence|master servant|teacher pupil"""

KINDS = {
    "bird": "robin eagle owl sparrow crow swan duck goose",
    "fish": "salmon trout shark cod herring tuna carp pike",
    "tree": "oak pine birch maple willow elm cedar beech",
    "fruit": "apple pear banana cherry grape lemon melon peach",
    "tool": "hammer saw drill wrench chisel axe pliers shovel",
    "colour": "red blue green yellow purple pink brown grey",
    "metal": "iron copper gold silver tin zinc nickel bronze",
    "vehicle": "car bus train truck tram bicycle ship ferry",
}

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
NUMBERS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
           "seventeen eighteen nineteen twenty").split() + [f"twenty-{x}" for x in "one two three four five".split()]
CONTINENTS = ["Ostrea", "Velmund", "Karrow", "Tiliand"]


def bucket(*key):
    """A number 0-9 from the content of a key, the same on every machine."""
    return hashlib.sha256("|".join(map(str, key)).encode()).digest()[0] % 10


def invented(rng, n, endings, taken):
    """n made-up names, none taken before."""
    out = []
    while len(out) < n:
        name = rng.choice("B D F G K L M N P R S T V Z Br Dr Kr Tr St".split()) + rng.choice("a e i o u".split())
        name += rng.choice("l m n r s v b d".split()) + rng.choice(endings)
        if name not in taken:
            taken.add(name)
            out.append(name)
    return out


def others(rng, pool, answer, n=3):
    """n different members of the pool, none of them the answer."""
    return rng.sample([x for x in pool if x != answer], n)


class Fact:
    """Something to know: wordings of the question, its answer, and where wrong answers come from; statement says it."""

    def __init__(self, wordings, answer, pool, statement):
        self.wordings, self.answer, self.pool, self.statement = wordings, answer, pool, statement


def antonyms(rng):
    pairs = [p.split() for line in ANTONYMS.split("\n") for p in line.split("|")]
    words = [w for p in pairs for w in p]
    for a, b in pairs + [[b, a] for a, b in pairs]:
        yield Fact([f"What is the opposite of {a}?", f"Which word means the opposite of {a}?",
                    f"Choose the antonym of {a}.", f"The opposite of {a} is", f"Something that is not {a} may be",
                    f"Which word is least like {a}?"], b, [w for w in words if w != a], f"The opposite of {a} is {b}.")


def calendar(rng):
    for unit, names in (("day", DAYS), ("month", MONTHS)):
        for i, x in enumerate(names):
            for step, side in ((1, "after"), (-1, "before")):
                y = names[(i + step) % len(names)]
                yield Fact([f"Which {unit} is {side} {x}?", f"What {unit} comes just {side} {x}?",
                            f"The {unit} {side} {x} is", f"Name the {unit} {side} {x}.",
                            f"What is one {unit} {side} {x}?", f"Choose the {unit} just {side} {x}."], y,
                           [n for n in names if n != x], f"The {unit} {side} {x} is {y}.")
    for i, x in enumerate(MONTHS):
        yield Fact([f"Which month has the number {i + 1}?", f"What is month {i + 1} of the year?",
                    f"Month number {i + 1} is", f"Name month {i + 1}.", f"Choose month {i + 1} of the year.",
                    f"What do we call month {i + 1}?"], x, MONTHS, f"Month number {i + 1} is {x}.")


def invented_geography(rng):
    taken = set()
    countries = invented(rng, 36, ["ia", "land", "ova", "stan"], taken)
    capitals = invented(rng, 36, ["burg", "ton", "ville", "mouth", "grad"], taken)
    for i, (c, t) in enumerate(zip(countries, capitals)):
        where = CONTINENTS[i % 4]
        yield Fact([f"What is the capital of {c}?", f"Which city is the capital of {c}?", f"The capital of {c} is",
                    f"Name the capital city of {c}.", f"The government of {c} sits in",
                    f"In which city is the government of {c}?"], t, capitals, f"The capital of {c} is {t}.")
        yield Fact([f"{t} is the capital of which country?", f"Which country has the capital {t}?",
                    f"{t} is the capital of", f"Name the country whose capital is {t}.",
                    f"In which country is {t}?"], c, countries, f"{t} is the capital of {c}.")
        yield Fact([f"On which continent is {c}?", f"Where is {c}?", f"{c} is a country in",
                    f"Name the continent of {c}.", f"{c} lies on the continent"], where, CONTINENTS,
                   f"{c} is a country in {where}.")


def invented_history(rng):
    taken = set()
    people = invented(rng, 30, ["son", "man", "er", "wick", "ley"], taken)
    things = invented(rng, 30, ["ax", "ometer", "aphone", "ex", "ulus"], taken)
    for who, thing in zip(people, [t.lower() for t in things]):
        yield Fact([f"Who invented the {thing}?", f"Which inventor made the first {thing}?",
                    f"The {thing} was invented by", f"Name the inventor of the {thing}.",
                    f"Whose work is the {thing}?", f"To whom do we owe the {thing}?"], who, people,
                   f"The {thing} was invented by {who}.")
        yield Fact([f"What did {who} invent?", f"Which machine did {who} make first?", f"{who} invented the",
                    f"Name the invention of {who}.", f"What do we owe to {who}?", f"{who} is known for the"],
                   thing, [t.lower() for t in things], f"{who} invented the {thing}.")


def number_words(rng):
    digits = [str(n) for n in range(len(NUMBERS))]
    for n, word in zip(digits, NUMBERS):
        yield Fact([f"Which word means {n}?", f"How is {n} written in letters?", f"In words, {n} is",
                    f"Spell the number {n}.", f"Choose the word for {n}.", f"What do we call the number {n}?"], word,
                   NUMBERS, f"In words, {n} is {word}.")
        yield Fact([f"Which number is {word}?", f"How is {word} written in digits?", f"In digits, {word} is",
                    f"Write {word} as a number.", f"Choose the digits for {word}.", f"Which digits mean {word}?"], n,
                   digits, f"In digits, {word} is {n}.")


def taxonomy(rng):
    for kind, words in KINDS.items():
        a = "an" if kind[0] in "aeiou" else "a"
        for w in words.split():
            rest = [x for k, v in KINDS.items() if k != kind for x in v.split()]
            yield Fact([f"Which of these is {a} {kind}?", f"Choose the {kind}.", f"Which word names {a} {kind}?",
                        f"Find the {kind} in the list.", f"Only one of these is {a} {kind}. Which one?"], w, rest,
                       f"The {w} is {a} {kind}.")
            yield Fact([f"What kind of thing is the {w}?", f"The {w} is a kind of", f"The word {w} names a kind of",
                        f"Which group does {w} belong to?", f"What is {w}?"], kind, list(KINDS),
                       f"The {w} is {a} {kind}.")


# Rules: a function draws one question at random: (content that decides the split, question, answer, wrong answers).

def arithmetic(rng):
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    if rng.random() < 0.4 and a != b:
        a, b = max(a, b), min(a, b)
        sign, c, said = "-", a - b, rng.choice([f"What is {a} - {b}?", f"{a} minus {b} is", f"Take {b} from {a}."])
    else:
        sign, c, said = "+", a + b, rng.choice([f"What is {a} + {b}?", f"{a} plus {b} is", f"Add {a} and {b}."])
    wrong = rng.sample([x for x in range(max(0, c - 9), c + 10) if abs(x - c) > 1], 3)
    return (sign, a, b), said, str(c), [str(x) for x in wrong]


def list_puzzles(rng):
    words = [w for v in KINDS.values() for w in v.split()]
    x = rng.sample(words, rng.randint(3, 5))
    shown = ", ".join(x)
    if rng.random() < 0.7:
        said = rng.choice([f"Which word is in the list: {shown}?", f"Which of these belongs to {shown}?",
                           f"The list {shown} has the word"])
        return ("in", shown), said, rng.choice(x), rng.sample([w for w in words if w not in x], 3)
    i, name = rng.choice([(0, "first"), (len(x) - 1, "last")])
    return (name, shown), f"Which word is {name} in the list: {shown}?", x[i], others(rng, x, x[i], 2) + rng.sample(
        [w for w in words if w not in x], 1)


FACTS = dict(antonyms=antonyms, calendar=calendar, invented_geography=invented_geography,
             invented_history=invented_history, number_words=number_words, taxonomy=taxonomy)
RULES = dict(arithmetic=arithmetic, list_puzzles=list_puzzles)
SUBJECTS = sorted([*FACTS, *RULES])


class Row:
    """One question: its text, four choices and the index of the right one."""

    def __init__(self, rng, question, answer, wrong):
        self.question, self.answer = question, rng.randrange(4)
        self.choices = list(wrong)
        self.choices.insert(self.answer, answer)
        assert len(set(self.choices)) == 4, (question, self.choices)

    def text(self, answered=True):
        """As the original MMLU script shows it."""
        lines = [self.question] + [f"{l}. {c}" for l, c in zip(LETTERS, self.choices)]
        return "\n".join(lines) + "\nAnswer:" + (f" {LETTERS[self.answer]}\n\n" if answered else "")


def header(subject, spaces=2):
    """Two spaces in the original script, one in lm-evaluation-harness."""
    return f"The following are multiple choice questions (with answers) about{' ' * spaces}{subject.replace('_', ' ')}.\n\n"


def split_of_rule(key):
    return {0: "test", 1: "test", 2: "val", 3: "dev"}.get(bucket(*key), "train")


class Data:
    """Every fact with its wordings dealt out to the splits; draws questions of any subject and split."""

    def __init__(self, seed=0):
        rng = random.Random(f"facts {seed}")
        self.facts = {s: list(f(rng)) for s, f in sorted(FACTS.items())}
        self.said = {}  # (subject, split) -> [(fact, wording)]
        for s, facts in self.facts.items():
            for i, fact in enumerate(facts):
                order = rng.sample(fact.wordings, len(fact.wordings))
                cut = 1 if len(facts) >= TEST else 2
                for split, words in (("test", order[:cut]), ("dev" if i % 4 == 0 else "val", order[cut:cut + 1]),
                                     ("train", order[cut + 1:])):
                    self.said.setdefault((s, split), []).extend((fact, w) for w in words)

    def draw(self, rng, subject, split):
        if subject in FACTS:
            fact, question = rng.choice(self.said[subject, split])
            return Row(rng, question, fact.answer, others(rng, fact.pool, fact.answer))
        while True:
            key, question, answer, wrong = RULES[subject](rng)
            if split_of_rule(key) == split:
                return Row(rng, question, answer, wrong)

    def rows(self, subject, split, n, seed=0):
        """n different questions, or as many as 20,000 draws find."""
        rng, seen, out = random.Random(f"{subject} {split} {seed}"), set(), []
        for _ in range(20000):
            if len(out) == n:
                break
            row = self.draw(rng, subject, split)
            if (row.question, row.choices[row.answer]) not in seen:
                seen.add((row.question, row.choices[row.answer]))
                out.append(row)
        return out


def calibration(data, prompts, seed):
    """Prompts of six train questions with their answers, the subjects in turn."""
    rng, out = random.Random(f"calibrate {seed}"), []
    for i in range(prompts):
        subject = SUBJECTS[i % len(SUBJECTS)]
        out.append(header(subject) + "".join(data.draw(rng, subject, "train").text() for _ in range(6)))
    return "".join(out)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--calibrate", metavar="FILE")
    a = ap.parse_args()
    data = Data(a.seed)
    for split, n in (("dev", SHOTS), ("val", VAL), ("test", TEST)):
        os.makedirs(os.path.join(a.out, split), exist_ok=True)
        for subject in SUBJECTS:
            with open(os.path.join(a.out, split, f"{subject}_{split}.csv"), "w", newline="", encoding="utf-8") as f:
                out = csv.writer(f, lineterminator="\n")
                for r in data.rows(subject, split, n, a.seed):
                    out.writerow([r.question, *r.choices, LETTERS[r.answer]])
    if a.calibrate:
        with open(a.calibrate, "w", encoding="utf-8", newline="") as f:
            f.write(calibration(data, 64, a.seed))
    print(f"{a.out}: {len(SUBJECTS)} subjects, {SHOTS} dev, {VAL} val and {TEST} test questions each")


if __name__ == "__main__":
    main()

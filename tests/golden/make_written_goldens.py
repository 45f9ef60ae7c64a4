#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goldens of written answers: tests/golden/written.json (prompts, extraction and marks).

usage: make_written_goldens.py ../shared/data/eval [OUT ROWS]

lm-evaluation-harness (`pip install lm_eval==0.4.13 sympy math_verify antlr4-python3-runtime==4.11 langdetect nltk
immutabledict word2number`) gives prompts from its own task files and marks from its own filters and metrics; the data
are read from local files in place of its download. With OUT and ROWS, so many rows of every set go to OUT instead:
test_written checks them when NB_WRITTEN_GOLDENS names that file. Committed are rows of sets that may be copied (GSM8K,
BIG-Bench Hard, MATH: MIT; IFEval: Apache-2.0) and invented ones for TriviaQA and MMLU-Pro.
"""
import json, random, sys, types
from pathlib import Path

import datasets
import jinja2.sandbox
import lm_eval
import nltk
import xxhash

nltk.data.find = lambda *a, **k: None  # instead of downloading what three of IFEval's checkers want
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

HERE = Path(__file__).parent
TASKS = Path(lm_eval.__file__).parent / "tasks"
DATA = Path(sys.argv[1])
OUT = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "written.json"
ROWS = int(sys.argv[3]) if len(sys.argv) > 3 else 0
RNG = random.Random(7)


class LocalTask(ConfigurableTask):
    """A task of lm-evaluation-harness whose data set is given."""

    def __init__(self, path, splits, **extra):
        self.local = splits
        super().__init__(config={**load_yaml(str(path), resolve_func=True, recursive=True), **extra})

    def download(self, *args, **kwargs):
        self.dataset = datasets.DatasetDict({k: datasets.Dataset.from_list(v) for k, v in self.local.items()})


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


# ---- texts that a model might have written ----

NOISE = ["", " ", "I do not know.", "So the answer is (B).", "The answer is 42.", "the answer is maybe\n",
         "Answer: yes", "#### 1,234.", "$5.00 and 3.", "-7", "(C) is right, not (A)", "True False", "no yes No",
         "The final answer: valid.", "twenty one objects", "three hundred and five", "one thousand two",
         "Final Answer: The final answer is $\\frac{1}{2}$. I hope it is correct.",
         "Final Answer: The final answer is 100,000 dollars. I hope it is correct.",
         "Final Answer: The final answer is $x=\\sqrt3$", "Überraschung: „ja“ — naïve ½ €3.50", "[ ] < > ( { } )",
         "he does plausible thing", "implausible. the answer is no.", "a\n\nb", "\u00a0padded\u2003"]
FRAMES = ["{}", "{}.", " {} ", "The answer is {}.", "the answer is {}.", "So the answer is {}.", "#### {}",
          "Let us see. 3 + 4 = 7.\n#### {}\n", "The final answer: {}.", "A: Let's think. The answer: {}!",
          "Final Answer: The final answer is ${}$. I hope it is correct.",
          "Final Answer: The final answer is {}. I hope it is correct.", "${},000", "({})", "\"{}\"", "**{}**",
          "First 12, then {}, last 99.", "It is {} or not {}", "THE {}", "answer is ({})"]


def texts_for(golds, rng, count):
    out = [rng.choice(NOISE)]
    for _ in range(count - 1):
        gold = rng.choice(golds)
        last = gold.split("####")[-1].strip()
        text = rng.choice(FRAMES).replace("{}", rng.choice([gold, last, last.upper(), last.lower(), last[:-1]]))
        out.append(text if rng.random() < 0.8 else text + "\n" + rng.choice(NOISE))
    return out


# ---- marks ----

def marks(task, doc, text):
    """What every filter finds in the text, and every mark."""
    found, mark = {}, {}
    for ensemble in task._filters:
        inst = Instance(request_type="generate_until", doc=doc, arguments=("", {}), idx=0, resps=[text])
        ensemble.apply([inst])
        answer = inst.filtered_resps[ensemble.name]
        result = task.process_results(doc, [answer])
        found[ensemble.name] = answer
        mark[ensemble.name] = result
    return found, mark


def rows_of(task, name, subject, docs, raw, golds, out, count):
    for doc, row in zip(docs, raw):
        out.append({"task": name, "subject": subject, "row": row, "texts": []})
        for text in texts_for(golds(row), RNG, count):
            found, mark = marks(task, doc, text)
            if name == "minerva_math":
                names = {"final-answer": float(mark["none"]["exact_match"])}
                found = {}
            elif name == "ifeval":
                m = mark["none"]
                strict, loose = m["inst_level_strict_acc"], m["inst_level_loose_acc"]
                names = {"prompt_strict": float(m["prompt_level_strict_acc"]), "inst_strict": float(sum(strict)),
                         "prompt_loose": float(m["prompt_level_loose_acc"]), "inst_loose": float(sum(loose))}
                found = {}
            else:
                names = {k: float(v["exact_match"]) for k, v in mark.items()}
            out[-1]["texts"].append({"text": text, "found": found, "marks": names})


# ---- prompts ----

def chat(template):
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    compiled = env.from_string(template)

    def render(messages, add_generation_prompt=True):
        return compiled.render(messages=messages, add_generation_prompt=add_generation_prompt, bos_token="<s>",
                               eos_token="</s>")
    return render


TEMPLATE = ("{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<|end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>\n{% endif %}")


def prompts_of(task, name, subject, docs, raw, examples, shots, out, forms=(None,)):
    task.set_fewshot_seed(1234)
    for form in forms:
        task.set_fewshot_seed(1234)
        how = {} if form is None else dict(apply_chat_template=True, fewshot_as_multiturn=form == "multiturn",
                                           chat_template=chat(TEMPLATE), system_instruction="Be brief.")
        hashes = []
        for doc in docs:
            text = task.fewshot_context(doc, shots, **how)
            hashes.append(xxhash.xxh3_64_hexdigest(text.encode()))
        out.append({"task": name, "subject": subject, "rows": raw, "examples": bool(examples), "shots": shots,
                    "chat": form or "no", "hashes": hashes, "first": task.fewshot_context(docs[0], 0, **how)})


# ---- the sets ----

ALL = (None, "single", "multiturn")
answers, prompts = [], []

gsm_test, gsm_train = lines(DATA / "gsm8k/test.jsonl"), lines(DATA / "gsm8k/train.jsonl")[:26]
test = gsm_test[:ROWS or 4]
for name, yaml in (("gsm8k", "gsm8k.yaml"), ("gsm8k_cot", "gsm8k-cot.yaml")):
    task = LocalTask(TASKS / "gsm8k" / yaml, {"test": test, "train": gsm_train})
    docs = list(task.eval_docs)
    rows_of(task, name, "", docs, test, lambda r: [r["answer"]], answers, 6)
    prompts_of(task, name, "", docs[:4], test[:4], gsm_train if name == "gsm8k" else [], 5 if name == "gsm8k" else 8,
               prompts, ALL)

trivia = [{"question_id": f"q{i}", "question": q, "answer": {"value": a[0], "aliases": a}} for i, (q, a) in enumerate(
    [("Which planet is known as the red one", ["Mars", "The Red Planet", "planet Mars"]),
     ("Who wrote the play about the Dane", ["W. Shakespeare", "William Shakespeare", "Shakespeare"]),
     ("What is the capital of Côte d'Ivoire", ["Yamoussoukro"]),
     ("Which metal has the symbol Au", ["Gold", "gold (metal)"])])]
if ROWS:
    trivia = [{"question_id": r["id"], "question": r["question"], "answer": {"value": r["golden_answers"][0],
               "aliases": r["golden_answers"]}} for r in lines(DATA / "triviaqa/test_1000.jsonl")[:ROWS]]
task = LocalTask(TASKS / "triviaqa/default.yaml", {"validation": trivia, "train": trivia[:1] * 30})
task.multiple_target = 1
docs = list(task.eval_docs)
rows_of(task, "triviaqa", "", docs, trivia, lambda r: r["answer"]["aliases"], answers, 6)
prompts_of(task, "triviaqa", "", docs[:4], trivia[:4], [], 0, prompts)

for path in sorted((DATA / "bbh/bbh").glob("*.json")):
    rows = json.load(open(path))["examples"][:ROWS or 1]
    for name in ("cot_fewshot", "cot_zeroshot"):
        task = LocalTask(TASKS / f"bbh/{name}/{path.stem}.yaml", {"test": rows})
        docs = list(task.eval_docs)
        rows_of(task, f"bbh_{name}", path.stem, docs, rows, lambda r: [r["target"]], answers, 4 if name[4] == "f" else 7)
        prompts_of(task, f"bbh_{name}", path.stem, docs[:1], rows[:1], [], 3 if name[4] == "f" else 0, prompts,
                   ALL if path.stem in ("snarks", "navigate") else (None,))

pro = [{"question_id": i, "question": q, "options": o, "answer": a, "answer_index": ord(a) - 65, "category": "math",
        "cot_content": f"A: Let's think step by step. {c} The answer is ({a}).", "src": ""} for i, (q, o, a, c) in enumerate(
    [("What is 2 + 3?", [" 4", "5 ", "6"], "B", "Two and three are five."),
     ("How many sides has a square?", ["3", "4", "5", "6", "7", "8", "9", "10", "11", "12"], "B", "A square has four."),
     ("Which is prime?", ["4", "6", "7"], "C", "Seven has no divisors."), ("What is 3 * 3?", ["9", "6"], "A", "Nine."),
     ("What is 10 / 4?", ["2", "2.5", "3"], "B", "Half of five."), ("What is 1 - 1?", ["0", "1"], "A", "Nothing.")])]
task = LocalTask(TASKS / "mmlu_pro/mmlu_pro_math.yaml", {"test": pro, "validation": pro})
docs = list(task.eval_docs)
rows_of(task, "mmlu_pro_cot", "math", docs, pro, lambda r: [r["answer"]], answers, 6)
prompts_of(task, "mmlu_pro_cot", "math", docs[:3], pro[:3], pro[:5], 5, prompts, ALL)

math = lines(DATA / "math500/test.jsonl")[:ROWS or 12]
task = LocalTask(TASKS / "minerva_math/minerva_math500.yaml", {"test": math})
docs = list(task.eval_docs)
boxed = sys.modules[task.config.process_results.__module__]
golds = lambda r: [boxed.remove_boxed(boxed.last_boxed_only_string(r["solution"])), r["answer"]]
rows_of(task, "minerva_math", "", docs, math, golds, answers, 4)
prompts_of(task, "minerva_math", "", docs[:2], math[:2], [], 4, prompts, ALL)

MODELS = {"language:response_language", "length_constraints:number_sentences", "change_case:capital_word_frequency",
          "change_case:english_capital", "change_case:english_lowercase"}
LINES = ["My answer is yes.", "* one", "- two", "**bold** and *it*", "<<A title>>", "P.S. bye", "p. p. s. more",
         "SECTION 1", "Section 2: more", "***", "******", "[name] and [place]", "```json\n{\"a\": 1}\n```", "\"quoted\"",
         "Hello, world", "no commas here", "A B C. D?", "", "", "it is what it is", "Any other questions?",
         "Is there anything else I can help with?", "lower case only", "1. first\n2. second", "{\"a\": [1, 2]}"]
ifeval = [r for r in lines(DATA / "ifeval/input_data.jsonl") if not MODELS & set(r["instruction_id_list"])
          # for a "letter" that is none, such as "!", the harness draws a random one
          and all(k.get("letter", "a").isalpha() for k in r["kwargs"])]
step = 1 if ROWS > 100 else 17


def follow(row, rng):
    """Lines in any order, with what the instructions ask for put in here and there."""
    text = [rng.choice(LINES) for _ in range(rng.randint(0, 9))]
    for kw in row["kwargs"]:
        for v in kw.values():
            for word in v if isinstance(v, list) else [v]:
                if isinstance(word, str) and rng.random() < 0.7:
                    text.insert(rng.randint(0, len(text)), word + rng.choice(["", " ", ". And so on", " word" * 40]))
    if rng.random() < 0.3:
        text = [row["prompt"]] + text
    return rng.choice(["\n", "\n\n", " "]).join(text)


class Row(dict):
    """A row whose missing arguments are None, as the hub's copy has them."""


task = LocalTask(TASKS / "ifeval/ifeval.yaml", {"train": [{k: (json.dumps(v) if k == "kwargs" else v) for k, v in
                                                          r.items()} for r in ifeval]})
for row in ifeval[::step]:
    answers.append({"task": "ifeval", "subject": "", "row": row, "texts": []})
    for _ in range(4):
        text = follow(row, RNG)
        m = task.config.process_results(row, [text])
        answers[-1]["texts"].append({"text": text, "found": {}, "marks": {
            "prompt_strict": float(m["prompt_level_strict_acc"]),
            "inst_strict": float(sum(m["inst_level_strict_acc"])),
            "prompt_loose": float(m["prompt_level_loose_acc"]),
            "inst_loose": float(sum(m["inst_level_loose_acc"]))}})

# ---- sets of choices through a chat template ----

arc = [{"id": f"a{i}", "question": q, "choices": {"text": c, "label": list("ABCD")[:len(c)]}, "answerKey": a}
       for i, (q, c, a) in enumerate([("What do bees make?", ["honey", "iron", "glass"], "A"),
                                      ("What is ice?", ["a gas", "frozen water", "a metal"], "B"),
                                      ("Where do fish live?", ["in trees", "in clouds", "in water"], "C")])]
wino = [{"qID": f"w{i}", "sentence": s, "option1": a, "option2": b, "answer": k} for i, (s, a, b, k) in enumerate(
    [("The cup fell off the table because the _ was wet.", "table", "cup", "1"),
     ("Ann thanked Eve since _ had helped.", "Ann", "Eve", "2"),
     ("The rope broke, so the _ was too heavy.", "rope", "load", "2")])]
mmlu = [{"question": q, "subject": "anatomy", "choices": c, "answer": a} for q, c, a in
        [("Which organ pumps blood?", ["liver", "heart", "lung", "skin"], 1),
         ("How many lungs?", ["1", "2", "3", "4"], 1), ("What holds the eye?", ["orbit", "rib", "ulna", "tibia"], 0)]]
scored = []
FIRST = {"fewshot_config": {"sampler": "first_n"}}
for name, yaml, rows, split, extra in (
        ("arc_easy", "arc/arc_easy.yaml", arc, "test", FIRST), ("winogrande", "winogrande/default.yaml", wino,
        "validation", FIRST), ("mmlu", "mmlu/default/mmlu_anatomy.yaml", mmlu, "test", {})):
    splits = {k: rows for k in ("train", "validation", "test", "dev")}
    task = LocalTask(TASKS / yaml, splits, **extra)
    for form in ALL[1:]:
        for shots in (0, 2):
            how = dict(apply_chat_template=True, fewshot_as_multiturn=form == "multiturn", chat_template=chat(TEMPLATE),
                       system_instruction="Be brief.")
            doc = list(task.eval_docs)[2]
            ctx = task.fewshot_context(doc, shots, **how)
            reqs = task.construct_requests(doc, ctx, apply_chat_template=True, metadata=("x", 0, 1))
            scored.append({"task": name, "preset": "lm-eval" if name == "mmlu" else None, "rows": rows, "shots": shots,
                           "chat": form, "contexts": ctx if isinstance(ctx, list) else [ctx],
                           "continuations": [r.arguments[1] for r in reqs]})

EXAMPLES = {"gsm8k": gsm_train, "mmlu_pro_cot": pro[:5]}
with open(OUT, "w", encoding="utf-8") as f:
    f.write('{"template": %s,\n"examples": %s,\n"answers": [\n' % (json.dumps(TEMPLATE), json.dumps(EXAMPLES)))
    f.write(",\n".join(json.dumps(a, ensure_ascii=False) for a in answers))
    f.write('\n],\n"prompts": [\n')
    f.write(",\n".join(json.dumps(p, ensure_ascii=False) for p in prompts))
    f.write('\n],\n"scored": [\n')
    f.write(",\n".join(json.dumps(p, ensure_ascii=False) for p in scored))
    f.write("\n]}\n")
print(sum(len(a["texts"]) for a in answers), "texts,", len(prompts), "prompts")

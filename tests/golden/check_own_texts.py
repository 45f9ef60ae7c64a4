#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Not a golden: what a model wrote, marked by nibble and by lm-evaluation-harness (0.4.13).

usage: check_own_texts.py RESULT.json... ../shared/data/eval

Each RESULT is of `nibble eval MODEL --task TASK --sample 100 --out RESULT.json` (own_texts.sh makes them all) with TASK gsm8k,
gsm8k_cot, triviaqa, bbh_cot_fewshot, bbh_cot_zeroshot, mmlu_pro_cot (its rows in mmlu_pro/test.jsonl), minerva_math or
ifeval. The harness's own filters and metrics (see make_written_goldens.py for what they want installed) mark the same texts;
every mark that differs is printed, and the exit status is then 1. Answers that nibble calls approximate are counted apart:
they rest on langdetect, or on Punkt's model, in whose place stands what nibble knows of it (make_sentence_goldens.py).
"""
import json, sys
from pathlib import Path

import datasets
import lm_eval
import nltk
from nltk.tokenize.punkt import PunktSentenceTokenizer

from make_sentence_goldens import model as punkt_model

nltk.data.find = lambda *a, **k: None  # instead of downloading Punkt
nltk.sent_tokenize = nltk.tokenize.sent_tokenize = lambda t, *a: PunktSentenceTokenizer(punkt_model()).tokenize(t)
from lm_eval.tasks.ifeval import instructions_util
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

instructions_util._get_sentence_tokenizer = lambda: PunktSentenceTokenizer(punkt_model())
TASKS, DATA = Path(lm_eval.__file__).parent / "tasks", Path(sys.argv[-1])


class LocalTask(ConfigurableTask):
    """A task of lm-evaluation-harness whose data set is given."""

    def __init__(self, path, splits):
        self.local = splits
        super().__init__(config=load_yaml(str(path), resolve_func=True, recursive=True))

    def download(self, *args, **kwargs):
        self.dataset = datasets.DatasetDict({k: datasets.Dataset.from_list(v) for k, v in self.local.items()})


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


def task_and_rows(name, subject):
    """The harness's task, its documents by nibble's ids, and the rows as they are."""
    if name in ("gsm8k", "gsm8k_cot"):
        rows = lines(DATA / "gsm8k/test.jsonl")
        task = LocalTask(TASKS / "gsm8k" / f"{name.replace('_', '-')}.yaml", {"test": rows, "train": rows[:9]})
        ids = [str(i) for i in range(len(rows))]
    elif name == "triviaqa":
        rows = [{"question_id": r["id"], "question": r["question"], "answer": {"value": r["golden_answers"][0],
                 "aliases": r["golden_answers"]}} for r in lines(DATA / "triviaqa/test_1000.jsonl")]
        task = LocalTask(TASKS / "triviaqa/default.yaml", {"validation": rows, "train": rows[:30]})
        task.multiple_target = 1
        ids = [r["question_id"] for r in rows]
    elif name.startswith("bbh_"):
        rows = json.load(open(DATA / f"bbh/bbh/{subject}.json"))["examples"]
        task = LocalTask(TASKS / f"bbh/{name[4:]}/{subject}.yaml", {"test": rows})
        ids = [f"{subject}:{i}" for i in range(len(rows))]
    elif name == "mmlu_pro_cot":  # its subjects differ in nothing that marks answers
        rows = lines(DATA / "mmlu_pro/test.jsonl")
        task = LocalTask(TASKS / "mmlu_pro/mmlu_pro_law.yaml",
                         {s: [{**r, "category": "law"} for r in rows] for s in ("test", "validation")})
        ids = [str(r["question_id"]) for r in rows]
    elif name == "minerva_math":
        rows = lines(DATA / "math500/test.jsonl")
        task = LocalTask(TASKS / "minerva_math/minerva_math500.yaml", {"test": rows})
        ids = [r["unique_id"] for r in rows]
    else:
        rows = lines(DATA / "ifeval/input_data.jsonl")
        task = LocalTask(TASKS / "ifeval/ifeval.yaml",
                         {"train": [{k: json.dumps(v) if k == "kwargs" else v for k, v in r.items()} for r in rows]})
        return task, {str(r["key"]): r for r in rows}
    return task, dict(zip(ids, task.eval_docs))


def marks(name, task, doc, text):
    if name == "ifeval":
        m = task.config.process_results(doc, [text])
        return {"prompt_strict": m["prompt_level_strict_acc"], "inst_strict": sum(m["inst_level_strict_acc"]),
                "prompt_loose": m["prompt_level_loose_acc"], "inst_loose": sum(m["inst_level_loose_acc"])}
    out = {}
    for ensemble in task._filters:
        inst = Instance(request_type="generate_until", doc=doc, arguments=("", {}), idx=0, resps=[text])
        ensemble.apply([inst])
        out[ensemble.name] = task.process_results(doc, [inst.filtered_resps[ensemble.name]])["exact_match"]
    return {"final-answer": out["none"]} if name == "minerva_math" else out


differ = 0
for path in sys.argv[1:-1]:
    result = json.load(open(path, encoding="utf-8"))
    name, tasks, wrong, about, found = result["protocol"]["task"], {}, 0, 0, 0
    for a in result["answers"]:
        key = a["subject"] if name.startswith("bbh_") else ""
        task, docs = tasks.setdefault(key, None) or tasks.update({key: task_and_rows(name, key)}) or tasks[key]
        theirs = marks(name, task, docs[a["id"]], a["written"][0])
        differing = [m for m, ours in zip(result["protocol"]["marks"], a["marks"]) if float(theirs[m]) != float(ours)]
        found += any(f not in ("", "[invalid]") for f in a["found"]) or any(a["marks"])
        about += a.get("approximate", False)
        for m in differing:
            print(f"{name} {a['id']} {m}: lm-eval {theirs[m]}, nibble {a['marks']}"
                  f"{', approximate' if a.get('approximate') else ''}: {a['written'][0]!r:.300}")
        wrong += 0 if a.get("approximate") else len(differing)
    print(f"{name}: {len(result['answers'])} texts, an answer found in {found}, {wrong} marks differ" +
          (f", {about} approximate" if about else ""))
    differ += wrong
sys.exit(differ > 0)

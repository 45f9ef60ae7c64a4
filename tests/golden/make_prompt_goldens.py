#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goldens of prompts: tests/golden/prompts.tsv, prompts.json and fewshot.json.

usage: make_prompt_goldens.py ../shared/data     (without: fewshot.json alone)

Prompts of lm-evaluation-harness (`pip install lm_eval`; 0.4.13 was used) come from its own task files and its own
classes, with the data read from local files in place of its download. Those of the original MMLU script
(github.com/hendrycks/test, evaluate.py) come from a transcription of its three functions below.

A line of prompts.tsv is TASK PRESET SHOTS DATA SUBJECT QUESTIONS HASH: one XXH3-128 over all the questions' contexts and
continuations, each with its length in 8 bytes (nb_prompt_hash). prompts.json holds whole texts for the questions in
tests/golden/mmlu, a few rows of MMLU that are committed.
"""
import csv, glob, json, os, sys
from pathlib import Path

import datasets
import lm_eval
import xxhash
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

HERE = Path(__file__).parent
TASKS = Path(lm_eval.__file__).parent / "tasks"
LETTERS = ["A", "B", "C", "D"]


class LocalTask(ConfigurableTask):
    """A task of lm-evaluation-harness whose data set is given."""

    def __init__(self, path, splits, **extra):
        self.local = splits
        super().__init__(config={**load_yaml(str(path), resolve_func=True, recursive=True), **extra})

    def download(self, *args, **kwargs):
        self.dataset = datasets.DatasetDict(
            {k: datasets.Dataset.from_list(v) for k, v in self.local.items()})


def lm_eval_prompts(task, shots):
    for doc in task.eval_docs:
        ctx = task.fewshot_context(doc, shots)
        reqs = task.construct_requests(doc, ctx, metadata=("x", 0, 1))
        contexts = [r.arguments[0] for r in reqs]
        yield ([contexts[0]] if len(set(contexts)) == 1 and not task.multiple_input else contexts,
               [r.arguments[1] for r in reqs])


# ---- the original script ----

def format_subject(subject):
    return "".join(" " + entry for entry in subject.split("_"))


def format_example(row, include_answer=True):
    prompt = row[0]
    for j in range(len(row) - 2):
        prompt += "\n{}. {}".format(LETTERS[j], row[j + 1])
    prompt += "\nAnswer:"
    if include_answer:
        prompt += " {}\n\n".format(row[-1])
    return prompt


def gen_prompt(rows, subject, k):
    prompt = "The following are multiple choice questions (with answers) about {}.\n\n".format(format_subject(subject))
    return prompt + "".join(format_example(rows[i]) for i in range(k))


def hendrycks_prompts(dev, test, subject, shots):
    for row in test:
        yield [gen_prompt(dev, subject, shots) + format_example(row, False)], [" " + x for x in LETTERS]


# ---- data ----

def read_csv(path):
    return list(csv.reader(open(path, newline="", encoding="utf-8")))


def read_jsonl(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


def mmlu_docs(rows, subject):
    return [{"question": r[0], "subject": subject, "choices": r[1:5], "answer": LETTERS.index(r[5])} for r in rows]


def arc_docs(rows):
    return [{"id": r["id"], "question": r["question"]["stem"], "answerKey": r["answerKey"],
             "choices": {"text": [c["text"] for c in r["question"]["choices"]],
                         "label": [c["label"] for c in r["question"]["choices"]]}} for r in rows]


def truthful_docs(rows, kind):
    return [{"question": r["question"],
             f"{kind}_targets": {"choices": list(r[f"{kind}_targets"]), "labels": list(r[f"{kind}_targets"].values())}}
            for r in rows]


# ---- output ----

class Digest:
    def __init__(self):
        self.h, self.n = xxhash.xxh3_128(), 0

    def add(self, contexts, continuations):
        for text in contexts + continuations:
            b = text.encode("utf-8")
            self.h.update(len(b).to_bytes(8, "little") + b)
        self.n += 1


def line(out, task, preset, shots, data, subject, prompts):
    d = Digest()
    for p in prompts:
        d.add(*p)
    out.write("\t".join([task, preset, str(shots), data, subject, str(d.n), d.h.hexdigest()]) + "\n")


def piqa_docs(path):
    """The authors' form: the labels, a line each, lie in a file of their own."""
    labels = open(str(path).replace(".jsonl", "-labels.lst"))
    return [{**row, "label": int(label)} for row, label in zip(read_jsonl(path), labels)]


def boolq_docs(path):
    return [{"passage": d["passage"], "question": d["question"], "label": int(d["answer"])} for d in read_jsonl(path)]


def openbook_docs(path):
    return [{"question_stem": d["question"], **{k: d[k] for k in ("id", "choices", "answerKey")}}
            for d in arc_docs(read_jsonl(path))]


def anli_docs(path):
    return [{"premise": d["context"], "hypothesis": d["hypothesis"], "label": "enc".index(d["label"])} for d in read_jsonl(path)]


def siqa_docs(path):
    labels = open(str(path).replace(".jsonl", "-labels.lst"))
    return [{**row, "label": label.strip()} for row, label in zip(read_jsonl(path), labels)]


def medqa_docs(path):
    return [{"sent1": d["question"], "label": "ABCD".index(d["answer_idx"]),
             **{f"ending{i}": d["options"][c] for i, c in enumerate("ABCD")}} for d in read_jsonl(path)]


def sets_of_the_phi_report(out, data):
    """What prompts.tsv has from ../shared/data/eval."""
    for r in (1, 2, 3):
        docs = anli_docs(data / f"anli/R{r}/test.jsonl")
        task = LocalTask(TASKS / f"anli/anli_r{r}.yaml", {f"{s}_r{r}": docs for s in ("train", "dev", "test")})
        line(out, "anli", "", 0, "eval/anli", f"R{r}", lm_eval_prompts(task, 0))
    docs = siqa_docs(data / "socialiqa/dev.jsonl")
    task = LocalTask(TASKS / "siqa/siqa.yaml", {"train": docs, "validation": docs})
    line(out, "socialiqa", "", 0, "eval/socialiqa", "", lm_eval_prompts(task, 0))
    docs = medqa_docs(data / "medqa/phrases_no_exclude_test.jsonl")
    task = LocalTask(TASKS / "medqa/medqa.yaml", {s: docs for s in ("train", "validation", "test")})
    line(out, "medqa", "", 0, "eval/medqa", "", lm_eval_prompts(task, 0))


def few_shot_texts():
    """Whole texts of rows in the authors' own file forms (tests/golden/mcq; but for ARC and WinoGrande written for this),
    alone and after two examples: the first of the training split, in order (nibble draws none at random)."""
    small, first = HERE / "mcq", {"fewshot_config": {"sampler": "first_n"}}
    sets = [  # task, preset, lm-evaluation-harness's file, examples, questions
        ("arc_easy", "", "arc/arc_easy.yaml", *(arc_docs(read_jsonl(small / f"arc_easy/ARC-Easy-{s}.jsonl")) for s in ("Train", "Test"))),
        ("winogrande", "", "winogrande/default.yaml", *(read_jsonl(small / f"winogrande/{s}.jsonl") for s in ("train", "dev"))),
        ("openbookqa", "", "openbookqa/openbookqa.yaml", *(openbook_docs(small / f"openbookqa/Main/{s}.jsonl") for s in ("train", "test"))),
        ("commonsenseqa", "", "commonsense_qa/default.yaml",
         *(arc_docs(read_jsonl(small / f"commonsenseqa/{s}_rand_split.jsonl")) for s in ("train", "dev"))),
        ("boolq", "", "super_glue/boolq/default.yaml", *(boolq_docs(small / f"boolq/{s}.jsonl") for s in ("train", "dev"))),
        ("hellaswag", "", "hellaswag/hellaswag.yaml", *(read_jsonl(small / f"hellaswag/hellaswag_{s}.jsonl") for s in ("train", "val"))),
        ("piqa", "", "piqa/piqa.yaml", *(piqa_docs(small / f"piqa/{s}.jsonl") for s in ("train", "valid"))),
        ("mmlu_pro", "lm-eval", "leaderboard/mmlu_pro/mmlu_pro.yaml",
         *(read_jsonl(small / f"mmlu_pro/{s}.jsonl") for s in ("validation", "test")))]
    texts = []

    def add(name, preset, task, shots):
        for i, (contexts, continuations) in enumerate(lm_eval_prompts(task, shots)):
            texts.append({"task": name, "preset": preset, "shots": shots, "row": i, "contexts": contexts, "continuations": continuations})

    for name, preset, path, examples, docs in sets:
        splits = {"train": examples, "validation": docs, "test": docs}
        if "mmlu_pro" in path:
            splits = {"validation": examples, "test": docs}
        task = LocalTask(TASKS / path, splits, **first)
        for shots in (0, 2):
            add(name, preset, task, shots)
    rows = json.load(open(small / "truthfulqa/mc_task.json"))
    for kind in ("mc1", "mc2"):
        add(f"truthfulqa_{kind}", "", LocalTask(TASKS / f"truthfulqa/truthfulqa_{kind}.yaml", {"validation": truthful_docs(rows, kind)}), 0)
    with open(HERE / "fewshot.json", "w", encoding="utf-8") as f:
        json.dump(texts, f, indent=1, ensure_ascii=False)
        f.write("\n")


def main():
    few_shot_texts()
    if len(sys.argv) < 2:
        return
    data = Path(sys.argv[1])
    out = open(HERE / "prompts.tsv", "w", encoding="utf-8", newline="\n")
    texts = []
    for test_file in sorted(glob.glob(str(data / "mmlu/test/*_test.csv"))):
        subject = os.path.basename(test_file)[: -len("_test.csv")]
        test, dev = read_csv(test_file), read_csv(data / f"mmlu/dev/{subject}_dev.csv")
        splits = {"test": mmlu_docs(test, subject), "dev": mmlu_docs(dev, subject), "validation": []}
        task = LocalTask(TASKS / f"mmlu/default/mmlu_{subject}.yaml", splits)
        cloze = LocalTask(TASKS / f"mmlu/continuation/mmlu_{subject}.yaml", splits)
        for shots in (5, 0):
            line(out, "mmlu", "lm-eval", shots, "mmlu", subject, lm_eval_prompts(task, shots))
            line(out, "mmlu", "hendrycks", shots, "mmlu", subject, hendrycks_prompts(dev, test, subject, shots))
        line(out, "mmlu", "cloze", 0, "mmlu", subject, lm_eval_prompts(cloze, 0))
        line(out, "mmlu", "cloze", 5, "mmlu", subject, lm_eval_prompts(cloze, 5))

    mcq = data / "mcq"
    for name, yaml, path in (("arc_easy", "arc/arc_easy.yaml", "arc_easy/ARC-Easy"),
                             ("arc_challenge", "arc/arc_challenge.yaml", "arc_challenge/ARC-Challenge")):
        docs, dev = (arc_docs(read_jsonl(mcq / f"{path}-{s}.jsonl")) for s in ("Test", "Dev"))
        task = LocalTask(TASKS / yaml, {"train": dev, "validation": dev, "test": docs})
        line(out, name, "", 0, f"mcq/{name}", "", lm_eval_prompts(task, 0))
    docs = read_jsonl(mcq / "hellaswag/hellaswag_val.head10.jsonl")
    task = LocalTask(TASKS / "hellaswag/hellaswag.yaml", {"train": docs, "validation": docs})
    line(out, "hellaswag", "", 0, "mcq/hellaswag/hellaswag_val.head10.jsonl", "", lm_eval_prompts(task, 0))
    docs = piqa_docs(mcq / "piqa/valid.jsonl")
    task = LocalTask(TASKS / "piqa/piqa.yaml", {"train": docs, "validation": docs})
    line(out, "piqa", "", 0, "mcq/piqa", "", lm_eval_prompts(task, 0))
    docs = read_jsonl(mcq / "winogrande/dev.jsonl")
    task = LocalTask(TASKS / "winogrande/default.yaml", {"train": docs, "validation": docs})
    line(out, "winogrande", "", 0, "mcq/winogrande", "", lm_eval_prompts(task, 0))
    docs = boolq_docs(mcq / "boolq/dev.jsonl")
    task = LocalTask(TASKS / "super_glue/boolq/default.yaml", {"train": docs, "validation": docs})
    line(out, "boolq", "", 0, "mcq/boolq", "", lm_eval_prompts(task, 0))
    rows = json.load(open(mcq / "truthfulqa/mc_task.json"))
    for kind in ("mc1", "mc2"):
        task = LocalTask(TASKS / f"truthfulqa/truthfulqa_{kind}.yaml", {"validation": truthful_docs(rows, kind)})
        line(out, f"truthfulqa_{kind}", "", 0, "mcq/truthfulqa", "", lm_eval_prompts(task, 0))
    sets_of_the_phi_report(out, data / "eval")
    out.close()

    small = HERE / "mmlu"
    for test_file in sorted(glob.glob(str(small / "test/*_test.csv"))):
        subject = os.path.basename(test_file)[: -len("_test.csv")]
        test, dev = read_csv(test_file), read_csv(small / f"dev/{subject}_dev.csv")
        splits = {"test": mmlu_docs(test, subject), "dev": mmlu_docs(dev, subject), "validation": []}
        task = LocalTask(TASKS / f"mmlu/default/mmlu_{subject}.yaml", splits)
        for preset, prompts in (("lm-eval", lm_eval_prompts(task, 2)), ("hendrycks", hendrycks_prompts(dev, test, subject, 2))):
            for i, (contexts, continuations) in enumerate(prompts):
                texts.append({"preset": preset, "shots": 2, "id": f"{subject}:{i}", "context": contexts[0],
                              "continuations": continuations})
    with open(HERE / "prompts.json", "w", encoding="utf-8") as f:
        json.dump(texts, f, indent=1, ensure_ascii=False)
        f.write("\n")


if __name__ == "__main__":
    main()

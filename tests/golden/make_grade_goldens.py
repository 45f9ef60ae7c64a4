#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goldens of scores: tests/golden/grades.json. Made-up log-probs for real choices' texts, scored by
lm-evaluation-harness's own process_results (`pip install lm_eval`; 0.4.13 was used).

usage: make_grade_goldens.py ../shared/data
"""
import json, sys
from pathlib import Path

import datasets
import numpy as np
import lm_eval
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

TASKS = Path(lm_eval.__file__).parent / "tasks"


class LocalTask(ConfigurableTask):
    def __init__(self, path, docs, **extra):
        self.local = docs
        super().__init__(config={**load_yaml(str(path), resolve_func=True, recursive=True), **extra})

    def download(self, *args, **kwargs):
        self.dataset = datasets.DatasetDict({k: datasets.Dataset.from_list(self.local) for k in ("train", "validation", "test")})


def main():
    data = Path(sys.argv[1]) / "mcq"
    rng = np.random.default_rng(3)
    out = []
    metrics = [{"metric": m, "aggregation": "mean", "higher_is_better": True} for m in ("acc", "acc_norm", "acc_bytes")]
    rows = [json.loads(l) for l in open(data / "arc_easy/ARC-Easy-Test.jsonl", encoding="utf-8")][:60]
    rows += [r for r in map(json.loads, open(data / "arc_challenge/ARC-Challenge-Test.jsonl", encoding="utf-8"))
             if any(ord(c) > 127 for x in r["question"]["choices"] for c in x["text"])][:20]
    docs = [{"question": r["question"]["stem"], "answerKey": r["answerKey"],
             "choices": {"text": [c["text"] for c in r["question"]["choices"]],
                         "label": [c["label"] for c in r["question"]["choices"]]}} for r in rows]
    task = LocalTask(TASKS / "arc/arc_easy.yaml", docs, metric_list=metrics)
    for doc in docs:
        texts = doc["choices"]["text"]
        lls = [-float(len(t)) * rng.uniform(.5, 1.5) for t in texts]
        if rng.uniform() < .1:
            lls[1] = lls[0]
        r = task.process_results(doc, [(x, False) for x in lls])
        out.append({"choices": texts, "right": [doc["choices"]["label"].index(doc["answerKey"])], "logprobs": lls,
                    **{k: float(v) for k, v in r.items()}})
    rows = json.load(open(data / "truthfulqa/mc_task.json"))[:20]
    for kind, metric in (("mc2", "mass"), ("mc1", "acc")):
        key = f"{kind}_targets"
        docs = [{"question": r["question"], key: {"choices": list(r[key]), "labels": list(r[key].values())}} for r in rows]
        task = LocalTask(TASKS / f"truthfulqa/truthfulqa_{kind}.yaml", docs)
        for doc in docs:
            lls = rng.uniform(-30, -1, size=len(doc[key]["choices"])).tolist()
            r = task.process_results(doc, [(x, False) for x in lls])
            out.append({"choices": doc[key]["choices"], "right": [i for i, l in enumerate(doc[key]["labels"]) if l],
                        "logprobs": lls, metric: float(r["acc"])})
    Path(__file__).with_name("grades.json").write_text(json.dumps(out, ensure_ascii=False) + "\n", encoding="utf-8")


main()

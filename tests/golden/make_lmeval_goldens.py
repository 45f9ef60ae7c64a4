#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Samples and results of lm-evaluation-harness itself (`pip install lm_eval torch transformers`; 0.4.13 was used) over the
demo checkpoint in float32, as its --log_samples leaves them: tests/golden/lmeval. The rows are those of tests/golden/hub, as the hub has them, and
of tests/golden/mcq.

usage: make_lmeval_goldens.py
"""
import json, shutil
from pathlib import Path

import lm_eval
import pyarrow.parquet as pq
from lm_eval.loggers import EvaluationTracker
from lm_eval.models.huggingface import HFLM

import make_prompt_goldens as m

HERE = Path(__file__).resolve().parent
OUT = HERE / "lmeval"
SMALL, FIRST = HERE / "mcq", {"fewshot_config": {"sampler": "first_n"}}


def local(path, examples, docs, **more):
    return m.LocalTask(m.TASKS / path, {"train": examples, "validation": docs, "test": docs}, **FIRST, **more)


def main():
    hub = lambda *files: [r for f in files for r in pq.read_table(HERE / "hub" / f).to_pylist()]
    arc = [hub(f"ai2_arc/ARC-{s}/test/0000.parquet") for s in ("Challenge", "Easy")]
    wino = [m.read_jsonl(SMALL / f"winogrande/{s}.jsonl") for s in ("train", "dev")]
    csqa = [hub(*(f"commonsense_qa/data/{s}-0000{i}-of-00002.parquet" for i in (0, 1))) for s in ("train", "validation")]
    tasks = [local("arc/arc_easy.yaml", *arc), local("winogrande/default.yaml", *wino, task="winogrande"),
             local("commonsense_qa/default.yaml", *csqa)]
    model = HERE.parents[1] / "data/demo"
    lm = HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=4)
    results = lm_eval.simple_evaluate(model=lm, tasks=tasks, num_fewshot=0, log_samples=True, bootstrap_iters=0)
    samples = results.pop("samples")
    shutil.rmtree(OUT, ignore_errors=True)
    tracker = EvaluationTracker(output_path=str(OUT / "results.json"))
    tracker.date_id = "2026-01-01T00-00-00.000000"
    for task, rows in samples.items():
        tracker.save_results_samples(task_name=task, samples=rows)
    # The sums as they are; what tells of this machine is left out.
    keep = {k: results[k] for k in ("results", "versions", "n-shot", "n-samples") if k in results}
    (OUT / f"results_{tracker.date_id}.json").write_text(json.dumps(keep, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Not a golden: nibble's scores beside those of lm-evaluation-harness itself, which runs the same checkpoint with
transformers in float32 (`pip install lm_eval torch transformers`; 0.4.13 was used). One line a task: both scores, the
questions whose right or wrong differs, and the largest difference of a log-prob.

usage: check_lm_eval.py NIBBLE CHECKPOINT [QUESTIONS [SHARED_DATA [TASK...]]]
"""
import json, subprocess, sys, tempfile
from pathlib import Path

import lm_eval

import make_prompt_goldens as m

HERE, SMALL, FIRST, SUBJECT = m.HERE, m.HERE / "mcq", {"fewshot_config": {"sampler": "first_n"}}, "global_facts"


def sets(shared):
    """Task, preset, shots, nibble's data, lm-evaluation-harness's task."""
    local = lambda path, examples, docs: m.LocalTask(m.TASKS / path, {"train": examples, "validation": docs, "test": docs}, **FIRST)
    arc = lambda path: m.arc_docs(m.read_jsonl(path))
    obqa = [m.openbook_docs(SMALL / f"openbookqa/Main/{s}.jsonl") for s in ("train", "test")]
    csqa = [arc(SMALL / f"commonsenseqa/{s}_rand_split.jsonl") for s in ("train", "dev")]
    # nibble asks subject after subject.
    pro = [sorted(m.read_jsonl(SMALL / f"mmlu_pro/{s}.jsonl"), key=lambda x: x["category"]) for s in ("validation", "test")]
    yield "openbookqa", "", 2, SMALL / "openbookqa", local("openbookqa/openbookqa.yaml", *obqa)
    yield "commonsenseqa", "", 2, SMALL / "commonsenseqa", local("commonsense_qa/default.yaml", *csqa)
    yield "mmlu_pro", "lm-eval", 2, SMALL / "mmlu_pro", m.LocalTask(
        m.TASKS / "leaderboard/mmlu_pro/mmlu_pro.yaml", {"validation": pro[0], "test": pro[1]}, **FIRST)
    if not shared:
        return
    data = Path(shared) / "mmlu"
    for preset, folder in (("lm-eval", "default"), ("cloze", "continuation")):
        docs = {s: m.mmlu_docs(m.read_csv(data / f"{s}/{SUBJECT}_{s}.csv"), SUBJECT) for s in ("test", "dev")}
        yield "mmlu", preset, 2, data, m.LocalTask(m.TASKS / f"mmlu/{folder}/mmlu_{SUBJECT}.yaml", {**docs, "validation": []})
    mcq = Path(shared) / "mcq"
    for name, path in (("arc_easy", "arc_easy/ARC-Easy"), ("arc_challenge", "arc_challenge/ARC-Challenge")):
        docs = arc(mcq / f"{path}-Test.jsonl")
        yield name, "", 0, mcq / name, local(f"arc/{name}.yaml", docs, docs)
    file = mcq / "hellaswag/hellaswag_val.head10.jsonl"
    docs = m.read_jsonl(file)
    yield "hellaswag", "", 0, file, local("hellaswag/hellaswag.yaml", docs, docs)
    docs = m.piqa_docs(mcq / "piqa/valid.jsonl")
    yield "piqa", "", 0, mcq / "piqa", local("piqa/piqa.yaml", docs, docs)
    docs = m.read_jsonl(mcq / "winogrande/dev.jsonl")
    yield "winogrande", "", 0, mcq / "winogrande", local("winogrande/default.yaml", docs, docs)
    docs = m.boolq_docs(mcq / "boolq/dev.jsonl")
    yield "boolq", "", 0, mcq / "boolq", local("super_glue/boolq/default.yaml", docs, docs)
    rows = json.load(open(mcq / "truthfulqa/mc_task.json"))
    for kind in ("mc1", "mc2"):
        task = m.LocalTask(m.TASKS / f"truthfulqa/truthfulqa_{kind}.yaml", {"validation": m.truthful_docs(rows, kind)})
        yield f"truthfulqa_{kind}", "", 0, mcq / "truthfulqa", task


def harness(lm, task, shots, n):
    """For each question the choices' log-probs and the scores."""
    docs = list(task.eval_docs)[:n]
    requests = [task.construct_requests(d, task.fewshot_context(d, shots), metadata=("x", i, 1)) for i, d in enumerate(docs)]
    answers = iter(lm.loglikelihood([r for rs in requests for r in rs], disable_tqdm=True))
    for doc, rs in zip(docs, requests):
        got = [next(answers) for _ in rs]
        yield [g[0] for g in got], task.process_results(doc, got)


def ours(nibble, model, task, preset, shots, data, n):
    with tempfile.TemporaryDirectory() as tmp:
        out = Path(tmp) / "out.json"
        subprocess.run([nibble, "eval", model, "--task", task, "--data", str(data), "--shots", str(shots), "--limit", str(n),
                        "-q", "--kv", "f32", "--out", str(out)] + (["--preset", preset] if preset else []) +
                       (["--subjects", SUBJECT] if task == "mmlu" else []),
                       check=True, stdout=subprocess.DEVNULL)
        return json.load(open(out))


def right(a, task, metric):
    """Whether nibble's answer counts, from its log-probs alone."""
    lp = a["logprobs"]
    value = [x / c for x, c in zip(lp, a["chars"])] if metric == "acc_norm" else lp
    best = max(range(len(value)), key=lambda i: value[i])
    tied = task == "truthfulqa_mc1" and value.count(value[best]) > 1
    return float(best in a["right"] and not tied)


def main():
    nibble, model = sys.argv[1:3]
    n = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    from lm_eval.models.huggingface import HFLM
    lm = HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=8)
    print(f"{'task':<18} {'questions':>9} {'metric':<9} {'lm-eval':>8} {'nibble':>8} {'differ':>7} {'log-prob':>9}")
    for name, preset, shots, data, task in sets(sys.argv[4] if len(sys.argv) > 4 else None):
        if sys.argv[5:] and name not in sys.argv[5:]:
            continue
        theirs = list(harness(lm, task, shots, n))
        run = ours(nibble, model, name, preset, shots, data, n)
        far = max(abs(x - y) for (lp, _), a in zip(theirs, run["answers"]) for x, y in zip(lp, a["logprobs"]))
        assert len(theirs) == len(run["answers"])
        for metric in ("acc", "acc_norm"):
            if metric not in theirs[0][1] or (metric == "acc_norm" and "chars" not in run["answers"][0]):
                continue
            scores = [float(s[metric]) for _, s in theirs]
            mine = [None] * len(scores)
            if name != "truthfulqa_mc2":
                mine = [right(a, name, metric) for a in run["answers"]]
            differ = sum(x != y for x, y in zip(scores, mine)) if mine[0] is not None else 0
            total = run["total"]["mass" if name == "truthfulqa_mc2" else metric]
            print(f"{name + ' ' * bool(preset) + preset:<18} {len(scores):>9} {metric:<9} {sum(scores) / len(scores):>8.4f} {total:>8.4f} {differ:>7} {far:>9.2g}", flush=True)


if __name__ == "__main__":
    main()

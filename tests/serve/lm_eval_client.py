#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lm-evaluation-harness (0.4.13) as a client of `nibble serve`: its local-completions must give the log-probs and scores
of `nibble eval`, and its local-chat-completions the texts. A server of its own runs the checkpoint; the harness encodes
with the checkpoint's tokenizer and sends token ids, several prompts a request, from several connections.

usage: lm_eval_client.py NIBBLE CHECKPOINT [QUESTIONS [SHARED_DATA]]     (python with lm_eval[api] and transformers)

Prints a line a task: questions, the metric by both, questions whose right or wrong differs, and the largest difference
of a log-prob. Ends with 1 when anything differs, with 77 where a package is missing.
"""
import json, os, re, signal, subprocess, sys, tempfile
from pathlib import Path

try:
    import transformers
    from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI
except ImportError as e:
    print("SKIP:", e)
    sys.exit(77)
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "golden"))
import check_lm_eval as golden
import make_prompt_goldens as m


def scores(lm, nibble, model, n, shared, positions):
    """Questions whose prompts do not fit are left out: the harness cuts them, nibble drops examples."""
    bad = 0
    print(f"{'task':<18} {'questions':>9} {'metric':<9} {'lm-eval':>8} {'nibble':>8} {'differ':>7} {'log-prob':>9}")
    for name, preset, shots, data, task in golden.sets(shared):
        theirs = list(golden.harness(lm, task, shots, n))
        run = golden.ours(nibble, model, name, preset, shots, data, n)
        fits = [a["tokens"] < positions and a["shots"] == shots for a in run["answers"]]
        theirs = [t for t, f in zip(theirs, fits) if f]
        answers = [a for a, f in zip(run["answers"], fits) if f]
        if not answers:
            print(f"{name:<18} no question fits")
            continue
        far = max(abs(x - y) for (lp, _), a in zip(theirs, answers) for x, y in zip(lp, a["logprobs"]))
        for metric in ("acc", "acc_norm"):
            if metric not in theirs[0][1] or (metric == "acc_norm" and "chars" not in answers[0]):
                continue
            s = [float(x[metric]) for _, x in theirs]
            mine = None if name == "truthfulqa_mc2" else [golden.right(a, name, metric) for a in answers]
            differ = sum(x != y for x, y in zip(s, mine)) if mine else 0
            total = run["total"]["mass" if name == "truthfulqa_mc2" else metric] if all(fits) else sum(mine) / len(mine)
            print(f"{name + ' ' * bool(preset) + preset:<18} {len(s):>9} {metric:<9} {sum(s) / len(s):>8.4f} {total:>8.4f} {differ:>7} {far:>9.2g}", flush=True)
            bad |= differ > 0 or far > 1e-6 or abs(sum(s) / len(s) - total) > 1e-6
    return bad


def texts(lm, nibble, model, n, data):
    """GSM8K through the chat template, one turn of the user: the same texts."""
    rows = {s: [json.loads(x) for x in open(data / f"{s}.jsonl", encoding="utf-8")] for s in ("train", "test")}
    task = m.LocalTask(m.TASKS / "gsm8k/gsm8k.yaml", rows)
    docs = list(task.eval_docs)[:n]
    requests = []
    for i, d in enumerate(docs):
        ctx = task.fewshot_context(d, 0, apply_chat_template=True, chat_template=lm.apply_chat_template)
        r = task.construct_requests(d, ctx, metadata=("x", i, 1), apply_chat_template=True, chat_template=lm.apply_chat_template)
        requests += r if isinstance(r, list) else [r]
    theirs = lm.generate_until(requests, disable_tqdm=True)
    with tempfile.TemporaryDirectory() as tmp:
        out = Path(tmp) / "out.json"
        subprocess.run([nibble, "eval", model, "--task", "gsm8k", "--data", str(data), "--shots", "0", "--limit", str(n), "--chat",
                        "single", "-q", "--kv", "f32", "--texts", "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
        run = json.load(open(out))
    mine = [a["written"][0] for a in run["answers"]]
    differ = sum(x != y for x, y in zip(theirs, mine))
    print(f"gsm8k, chat: {len(mine)} texts of {sum(map(len, mine))} characters, {differ} differ")
    for x, y in zip(theirs, mine):
        if x != y:
            print("  lm-eval:", repr(x[:200]), "\n  nibble: ", repr(y[:200]))
            break
    return differ > 0


def main():
    nibble, model = sys.argv[1:3]
    n = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    shared = sys.argv[4] if len(sys.argv) > 4 else None
    server = subprocess.Popen([nibble, "serve", model, "--port", "0", "-q", "--kv", "f32"], stdout=subprocess.PIPE, text=True)
    url = server.stdout.readline().strip()
    name = Path(model).name
    positions = json.load(open(Path(model) / "config.json"))["max_position_embeddings"]
    bad = 1
    try:
        lm = LocalCompletionsAPI(base_url=url + "v1/completions", model=name, tokenizer=model, tokenizer_backend="huggingface",
                                 batch_size=8, num_concurrent=4, max_length=positions)
        bad = scores(lm, nibble, model, n, shared, positions)
        if shared:
            chat = LocalChatCompletion(base_url=url + "v1/chat/completions", model=name, num_concurrent=8, max_length=positions)
            bad |= texts(chat, nibble, model, n, Path(shared) / "eval/gsm8k")
    finally:
        server.send_signal(signal.SIGTERM)
        bad = server.wait(60) or bad
    return bad


sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""MMLU by transformers, question by question, to compare with `nibble eval --json`.

usage: eval_mmlu_hf.py MODEL_DIR DATA_DIR [--limit N] [--per-subject N] [--shots 5] [--preset hendrycks|lm-eval]
                       [--max-tokens 0] [--split test] [--only S,S] [--threads T]

DATA_DIR holds dev/ and test/ with SUBJECT_dev.csv, SUBJECT_test.csv (no header: question, A, B, C, D, letter). Subjects
are taken in alphabetic order, questions in the file's order; --limit stops after the first N in all, --per-subject after
N of each. The model runs in float32 on the whole prompt, tokenized by MODEL_DIR's tokenizer.json with whatever its
post-processor adds (BOS by template). The score of a letter is the log-probability, over the whole vocabulary, of the
token that follows the prompt's tokens in the tokens of prompt + " A". While a prompt has more than --max-tokens tokens
(0: no limit) it loses its last example.
Prints one JSON object: accuracy by subject and in total, and for each question subject, index, shots, tokens, answer,
predicted and log_probs.
"""
import argparse, csv, json, os, sys
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

LETTERS = "ABCD"


def rows(path):
    with open(path, newline="", encoding="utf-8") as f:
        return [r for r in csv.reader(f) if r]


def item(row, preset, answered):
    question = row[0].strip() if preset == "lm-eval" else row[0]
    text = question + "".join(f"\n{l}. {c}" for l, c in zip(LETTERS, row[1:5])) + "\nAnswer:"
    return text + (f" {row[5]}\n\n" if answered else "")


def prompt(subject, dev, row, shots, preset):
    gap = " " if preset == "lm-eval" else "  "
    head = f"The following are multiple choice questions (with answers) about{gap}{subject.replace('_', ' ')}.\n\n"
    return head + "".join(item(r, preset, True) for r in dev[:shots]) + item(row, preset, False)


def encode(tok, text):
    """(prompt's ids, the four letters' ids)"""
    ids = tok.encode(text).ids
    letters = []
    for l in LETTERS:
        more = tok.encode(f"{text} {l}").ids
        assert len(more) == len(ids) + 1 and more[:-1] == ids, f"' {l}' is not one token after the prompt"
        letters.append(more[-1])
    return ids, letters


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("data")
    ap.add_argument("--limit", type=int, default=0)
    ap.add_argument("--per-subject", type=int, default=0)
    ap.add_argument("--shots", type=int, default=5)
    ap.add_argument("--preset", choices=["hendrycks", "lm-eval"], default="hendrycks")
    ap.add_argument("--max-tokens", type=int, default=0)
    ap.add_argument("--split", default="test")
    ap.add_argument("--only", default="")
    ap.add_argument("--threads", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    tok = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32).eval()
    ending = f"_{a.split}.csv"
    subjects = sorted(f[:-len(ending)] for f in os.listdir(os.path.join(a.data, a.split)) if f.endswith(ending))
    if a.only:
        subjects = [s for s in subjects if s in a.only.split(",")]
    out = []
    for s in subjects:
        dev = rows(os.path.join(a.data, "dev", f"{s}_dev.csv"))
        for i, row in enumerate(rows(os.path.join(a.data, a.split, s + ending))):
            if a.limit and len(out) >= a.limit or a.per_subject and i >= a.per_subject:
                break
            shots = min(a.shots, len(dev))
            ids, letters = encode(tok, prompt(s, dev, row, shots, a.preset))
            while a.max_tokens and len(ids) > a.max_tokens and shots:
                shots -= 1
                ids, letters = encode(tok, prompt(s, dev, row, shots, a.preset))
            with torch.no_grad():
                x = model(torch.tensor([ids]), use_cache=False, logits_to_keep=1).logits[0, -1].double()
            lp = torch.log_softmax(x, -1)[letters].tolist()
            out.append(dict(subject=s, index=i, shots=shots, tokens=len(ids), answer=row[5],
                            predicted=LETTERS[lp.index(max(lp))], log_probs=lp))
        mine = [q["answer"] == q["predicted"] for q in out if q["subject"] == s]
        if mine:
            print(f"{s}: {sum(mine)}/{len(mine)}", file=sys.stderr)
    right = lambda qs: dict(n=len(qs), accuracy=sum(q["answer"] == q["predicted"] for q in qs) / max(1, len(qs)))
    done = sorted({q["subject"] for q in out})
    print(json.dumps(dict(model=a.model, preset=a.preset, split=a.split, total=right(out),
                          subjects={s: right([q for q in out if q["subject"] == s]) for s in done}, questions=out), indent=1))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Log-likelihoods of a text under the demo checkpoint in float32: tests/golden/ppl.json. `rolling` are those of
lm-evaluation-harness (HFLM.loglikelihood_rolling, 0.4.13), `sliding` of the loop in Hugging Face's guide "Perplexity of
fixed-length models" (transformers 5, torch 2.13, CPU). The text is tests/golden/README.md's first 1,200 characters as
they were: it is kept in the file.

usage: make_ppl_goldens.py
"""
import json, re
from pathlib import Path

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "data/demo"


def sliding(model, ids, max_length, stride):
    total, count, prev_end = 0.0, 0, 0
    for begin in range(0, ids.shape[1], stride):
        end = min(begin + max_length, ids.shape[1])
        target = ids[:, begin:end].clone()
        target[:, : -(end - prev_end)] = -100
        with torch.no_grad():
            logits = model(ids[:, begin:end]).logits[0, :-1].double().log_softmax(-1)
        want = target[0, 1:]
        keep = want != -100
        total -= logits[keep].gather(1, want[keep, None]).sum().item()
        count += int(keep.sum())
        prev_end = end
        if end == ids.shape[1]:
            break
    return {"nll": total, "tokens": count}


def main():
    old = HERE / "ppl.json"
    text = json.loads(old.read_text())["text"] if old.exists() else (HERE / "README.md").read_text()[:1200]
    rolling = []
    for length in (16, 100):
        lm = HFLM(pretrained=str(MODEL), dtype="float32", device="cpu", batch_size=1, max_length=length)
        request = Instance("loglikelihood_rolling", {}, (text,), 0, metadata=("x", 0, 1))
        rolling.append({"ctx": length, "nll": -lm.loglikelihood_rolling([request], disable_tqdm=True)[0],
                        "prefix": lm.prefix_token_id})
    ids = torch.tensor([lm.tokenizer(text, add_special_tokens=False)["input_ids"]])
    runs = [{"ctx": c - 1, "stride": s, **sliding(lm.model, ids, c, s)} for c, s in ((65, 31), (126, 59), (36, 8))]
    # Otherwise its last window would be a short one, where nibble's reads as much as any.
    assert all((ids.shape[1] - r["ctx"] - 1) % r["stride"] == 0 for r in runs)
    old.write_text(json.dumps({"rolling": rolling, "sliding": runs, "words": len(re.split(r"\s+", text)),
                               "bytes": len(text.encode()), "text": text}, indent=1) + "\n")


if __name__ == "__main__":
    main()

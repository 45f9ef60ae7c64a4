#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Perplexity, KL divergence and agreement of two checkpoints by transformers, to compare with `nibble kld`.

usage: check_export.py REF_DIR [CAND_DIR] --text FILE [--ctx 512] [--chunks N] [--threads T]

REF_DIR and CAND_DIR are Hugging Face folders (CAND_DIR: from `nibble export`); both run in float32. Without CAND_DIR
only the perplexity of REF_DIR is printed. Definitions, the same as nibble's:
- the file is tokenized whole with REF_DIR's tokenizer.json, nothing added (no BOS), and cut into windows of CTX tokens
  that do not overlap; the rest is dropped; --chunks takes the first N windows;
- in each window the tokens CTX/2 .. CTX-1 are scored, so logits at positions CTX/2-1 .. CTX-2 count;
- perplexity = exp(mean negative log-likelihood); KL = sum_v p_ref (ln p_ref - ln p_cand), natural logarithm, its mean,
  median and 99th percentile (linear interpolation) over the scored positions; agreement: the share of positions where
  both give the same token the largest logit.
Prints one JSON object.
"""
import argparse, json, math, os, sys
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@torch.no_grad()
def log_probs(model, window, first):
    out = model(torch.tensor([window]), use_cache=False).logits[0, first - 1:-1]
    return torch.log_softmax(out.double(), -1)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("ref")
    ap.add_argument("cand", nargs="?")
    ap.add_argument("--text", required=True)
    ap.add_argument("--ctx", type=int, default=512)
    ap.add_argument("--chunks", type=int, default=0)
    ap.add_argument("--threads", type=int, default=1)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    tok = Tokenizer.from_file(os.path.join(a.ref, "tokenizer.json"))
    ids = tok.encode(open(a.text, encoding="utf-8", newline="").read(), add_special_tokens=False).ids
    windows = [ids[i:i + a.ctx] for i in range(0, len(ids) - a.ctx + 1, a.ctx)]
    if a.chunks:
        windows = windows[:a.chunks]
    ref, cand = load(a.ref), load(a.cand) if a.cand else None
    first, nll, kl, same = a.ctx // 2, [[], []], [], []
    for n, w in enumerate(windows):
        target = torch.tensor(w[first:])[:, None]
        p = log_probs(ref, w, first)
        nll[0].append(-p.gather(1, target)[:, 0])
        if cand:
            q = log_probs(cand, w, first)
            nll[1].append(-q.gather(1, target)[:, 0])
            kl.append((p.exp() * (p - q)).sum(-1))
            same.append(p.argmax(-1) == q.argmax(-1))
        print(f"\r{n + 1}/{len(windows)} windows, perplexity {math.exp(torch.cat(nll[0]).mean()):.4f}", end="",
              file=sys.stderr)
    print(file=sys.stderr)
    out = dict(tokens=len(ids), windows=len(windows), scored=len(windows) * (a.ctx - first),
               ref_perplexity=math.exp(torch.cat(nll[0]).mean()))
    if cand:
        kl = torch.cat(kl)
        out.update(cand_perplexity=math.exp(torch.cat(nll[1]).mean()), kl_mean=kl.mean().item(),
                   kl_median=kl.quantile(0.5).item(), kl_p99=kl.quantile(0.99).item(),
                   same_top=torch.cat(same).double().mean().item())
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/gguf/tokenizers/: tokenizers of tests/golden/tokenizers as metadata of GGUF files, and for those of
the kind "llama" the tokenizer.json that transformers' generate_merges makes from the same scores.

usage: make_gguf_tokenizers.py     Needs: pip install gguf transformers
"""
import json, os
import gguf
from transformers.convert_slow_tokenizer import generate_merges

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "gguf", "tokenizers")
# name: (model, pre, architecture)
KINDS = {"llama-3": ("gpt2", "llama-bpe", "llama"), "qwen": ("gpt2", "qwen2", "qwen2"), "o200k": ("gpt2", "gpt-4o", "phi3"),
         "smollm": ("gpt2", "smollm", "llama"), "phi-2": ("gpt2", "phi-2", "phi2"), "phi-3": ("llama", None, "phi3"),
         "gemma": ("llama", None, "gemma")}


def main():
    os.makedirs(OUT, exist_ok=True)
    for name, (model, pre, arch) in KINDS.items():
        j = json.load(open(os.path.join(HERE, "tokenizers", name, "tokenizer.json"), encoding="utf-8"))
        vocab, added = j["model"]["vocab"], {t["content"]: t for t in j["added_tokens"]}
        n = 1 + max([*vocab.values(), *(t["id"] for t in added.values())])
        tokens, types = [f"[PAD{i}]" for i in range(n)], [gguf.TokenType.UNUSED] * n
        for text, i in [*vocab.items(), *((t["content"], t["id"]) for t in added.values())]:
            tokens[i] = text
            byte = model == "llama" and len(text) == 6 and text.startswith("<0x")
            types[i] = (gguf.TokenType.NORMAL if text not in added else gguf.TokenType.CONTROL
                        if added[text]["special"] else gguf.TokenType.USER_DEFINED)
            types[i] = gguf.TokenType.BYTE if byte else types[i]
        merges = [m if isinstance(m, str) else " ".join(m) for m in j["model"]["merges"]]
        post = j.get("post_processor") or {}
        single = [x for p in post.get("processors", [post]) for x in p.get("single", [])]
        at = next((k for k, x in enumerate(single) if "Sequence" in x), 0)
        before, after = ([x["SpecialToken"]["id"] for x in side] for side in (single[:at], single[at + 1:]))
        w = gguf.GGUFWriter(os.path.join(OUT, name + ".gguf"), arch)
        w.add_tokenizer_model(model)
        if pre:
            w.add_tokenizer_pre(pre)
        w.add_token_list(tokens)
        w.add_token_types(types)
        if model == "llama":
            # a token's score as SentencePiece has it, minus its rank; a few share one
            made = {}
            for rank, m in enumerate(merges):
                a, b = m.split(" ") if " " in m.strip() else (m, "")
                made.setdefault(a + b, rank)
            scores = [-float(made.get(t, len(merges)) // 2 * 2) if types[i] == gguf.TokenType.NORMAL else 0.0
                      for i, t in enumerate(tokens)]
            w.add_token_scores(scores)
            # transformers gives every piece of the model's vocabulary to generate_merges
            pieces = {t: s for i, (t, s) in enumerate(zip(tokens, scores)) if t in vocab}
            j["model"]["merges"] = [list(m) for m in generate_merges({t: tokens.index(t) for t in pieces}, pieces)]
            os.makedirs(os.path.join(OUT, name), exist_ok=True)
            json.dump(j, open(os.path.join(OUT, name, "tokenizer.json"), "w", encoding="utf-8"), ensure_ascii=False)
        else:
            w.add_token_merges(merges)
        for side, add_id, add in ((before, w.add_bos_token_id, w.add_add_bos_token),
                                  (after, w.add_eos_token_id, w.add_add_eos_token)):
            add(bool(side))
            if side:
                add_id(tokens.index(side[0]))
        if name == "gemma":
            w.add_add_space_prefix(False)
        if name == "phi-2":
            w.add_add_space_prefix(j["pre_tokenizer"]["add_prefix_space"])
        w.add_chat_template("{{ messages[0].content }}")
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.close()
    print({f: os.path.getsize(os.path.join(OUT, f)) for f in sorted(os.listdir(OUT))})


if __name__ == "__main__":
    main()

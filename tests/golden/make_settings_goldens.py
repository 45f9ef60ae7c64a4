#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tokenizer_settings.json: what transformers 5 makes of a tiny tokenizer.json with all kinds of settings beside
it (tokenizer_config.json, special_tokens_map.json, added_tokens.json): the ids of some texts with and without the
template's tokens, the names of special tokens, what decoding leaves out. Some settings are written by hand, the others
drawn by chance.

usage: make_settings_goldens.py            Needs: pip install transformers
"""
import json, os, random, tempfile

from transformers import PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB = ["<unk>", "<s>", "</s>", "a", "b", "c", " ", "ab", "x", "y", "[", "]", "P", "A", "D", "<", ">", "|", "e", "1"]
TEXTS = ["a b", "<s>a", "a  </s>  b", "x <|e1|>  y", "[PAD]a [PAD]", "ab<|a|> <|b|>c", " </s>", "<s> <s>a<unk>", "<|c|>  <|d|>x"]
KINDS = ["<s>", "</s>", "<unk>", "[PAD]", "<|e1|>", "<|a|>", "<|b|>", "<|c|>", "<|d|>", "ab"]
FLAGS = ["special", "single_word", "lstrip", "rstrip", "normalized"]


def added(i, content, **k):
    return dict(dict(id=i, content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True), **k)


def token(content, **k):
    t = added(0, content, **k)
    del t["id"]
    return t


def typed(content, **k):
    t = token(content, **k)
    del t["special"]
    return dict(t, __type="AddedToken")


def template(bos):
    return {"type": "TemplateProcessing", "single": ([{"SpecialToken": {"id": "<s>", "type_id": 0}}] if bos else []) +
            [{"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
            {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}


S, E, U = added(1, "<s>"), added(2, "</s>"), added(0, "<unk>")
HAND = [
    dict(json=[], config={}),
    dict(json=[U, S, E], config={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
    dict(json=[S, E], config={"bos_token": "<s>", "pad_token": "[PAD]"}),
    dict(json=[S, E], config={"added_tokens_decoder": {"2": token("</s>", rstrip=True), "20": token("[PAD]"), "21": token("<|a|>", special=False)}}),
    dict(json=[S, E], config={"added_tokens_decoder": {"31": token("<|b|>"), "30": token("<|a|>"), "7": token("ab")}, "bos_token": "<s>"}),
    dict(json=[S, E], config={"added_tokens_decoder": {"1": token("<s>", special=False, lstrip=True)}, "bos_token": "</s>"}),
    dict(json=[S, E], config={"additional_special_tokens": ["<|a|>", "<|b|>"]}),
    dict(json=[S, E], config={"additional_special_tokens": [typed("<|a|>", rstrip=True), "<|b|>"]}),
    dict(json=[S, E], config={"extra_special_tokens": ["<|c|>"], "additional_special_tokens": ["<|a|>"]}),
    dict(json=[S, E], config={"extra_special_tokens": {"image_token": "<|c|>", "audio_token": "<|d|>"}}),
    dict(json=[S, E], config={"image_token": "<|e1|>", "other": "<|a|>", "pad_token": "[PAD]"}),
    dict(json=[S, E], config={"bos_token": "<s>"}, map={"bos_token": "</s>", "pad_token": "[PAD]"}),
    dict(json=[S, E], config={}, map={"bos_token": token("<s>"), "eos_token": "</s>", "additional_special_tokens": ["<|a|>"]}),
    dict(json=[S, E], config={"added_tokens_decoder": {}, "bos_token": "<s>"}, map={"bos_token": "</s>", "pad_token": "[PAD]"}),
    dict(json=[S, E], config={"additional_special_tokens": ["<|b|>"]}, map={"additional_special_tokens": ["<|a|>"]}),
    dict(json=[S, E], config={"extra_special_tokens": ["<|b|>"]}, map={"extra_special_tokens": ["<|a|>", "<|b|>"]}),
    dict(json=[S, E], config={"pad_token": "[PAD]"}, added={"<|a|>": 21, "[PAD]": 20}),
    dict(json=[], config=None, added={"<|b|>": 21, "<|a|>": 20}, map={"pad_token": "<|a|>"}),
    dict(json=[S, E], post=template(True), config={"bos_token": "<s>", "eos_token": "</s>"}),
    dict(json=[S, E], post=template(True), config={"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": False}),
    dict(json=[S, E], post=template(True), config={"bos_token": "<s>", "eos_token": "</s>", "add_eos_token": True}),
    dict(json=[S, E], post=template(False), config={"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True, "add_eos_token": True}),
    dict(json=[S, E], post=template(False), config={"eos_token": "</s>", "add_bos_token": True, "add_eos_token": None}),
    dict(json=[S, E], config={"bos_token": typed("<s>", normalized=True), "pad_token": typed("[PAD]", normalized=True, rstrip=True)}),
    dict(json=[added(25, "<|b|>"), added(24, "<|a|>"), added(3, "ab")], config={}),
    dict(json=[added(20, "[PAD]", special=False), added(21, "[PAD]", rstrip=True)], config={"pad_token": "[PAD]"}),
    dict(json=[S], config={"bos_token": None, "eos_token": None, "pad_token": "<s>", "mask_token": "<|c|>", "cls_token": "<|c|>"}),
]


BASE = {"version": "1.0", "decoder": {"type": "Fuse"}, "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(VOCAB)},
        "merges": [["a", "b"]], "unk_token": "<unk>"}}


def draw(rng):
    some = lambda p: rng.random() < p
    flags = lambda: {f: some(0.3) for f in FLAGS}
    case = dict(json=[added(20 + i, c, **flags()) for i, c in enumerate(rng.sample(KINDS, rng.randrange(5)))])
    config = {}
    if some(0.4):
        config["added_tokens_decoder"] = {str(rng.randrange(60) * 100 + i): token(c, **flags())
                                          for i, c in enumerate(rng.sample(KINDS, rng.randrange(5)))}
    for name in ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "own_token"):
        if some(0.4):
            c = rng.choice(KINDS)
            config[name] = c if some(0.7) else typed(c, **{f: some(0.3) for f in FLAGS[1:]})
    for name in ("add_bos_token", "add_eos_token"):
        if some(0.3): config[name] = some(0.5)
    for name in ("extra_special_tokens", "additional_special_tokens"):
        if some(0.25): config[name] = [c if some(0.7) else dict(typed(c, **{f: some(0.3) for f in FLAGS[1:]}))
                                       for c in rng.sample(KINDS, rng.randrange(3))]
    if some(0.3): case["post"] = template(some(0.5))
    if some(0.4): case["map"] = {n: rng.choice(KINDS) if some(0.6) else {k: v for k, v in token(rng.choice(KINDS), rstrip=some(0.5)).items() if k != "special"}
                                 for n in ("bos_token", "pad_token", "eos_token") if some(0.5)}
    if some(0.3): case["added"] = {c: 20 + i for i, c in enumerate(rng.sample(KINDS, 2))}
    if some(0.9): case["config"] = config
    return case


def golden(case):
    j = dict(BASE, added_tokens=case["json"], post_processor=case.get("post"))
    with tempfile.TemporaryDirectory() as d:
        for name, what in (("tokenizer.json", j), ("tokenizer_config.json", case.get("config")),
                           ("special_tokens_map.json", case.get("map")), ("added_tokens.json", case.get("added"))):
            if what is not None:
                with open(os.path.join(d, name), "w") as f:
                    json.dump(what, f)
        tok = PreTrainedTokenizerFast.from_pretrained(d)
    t = tok._tokenizer
    out = {k: json.dumps(case[k], separators=(",", ":")) for k in ("json", "post", "config", "map", "added")
           if case.get(k) is not None}
    names = {k: v for k, v in tok.special_tokens_map.items() if isinstance(v, str)}
    out["names"] = {k: t.token_to_id(v) for k, v in names.items()}
    out["ids"] = [[t.encode(s, add_special_tokens=b).ids for b in (False, True)] for s in TEXTS]
    everything = list(range(t.get_vocab_size()))
    out["all"] = [t.decode(everything, skip_special_tokens=b) for b in (False, True)]
    return out


def main():
    rng, cases, refused = random.Random(16), [], 0
    for case in HAND + [draw(rng) for _ in range(400)]:
        try:
            cases.append(golden(case))
        except Exception as e:
            refused += 1
            print(type(e).__name__, str(e)[:100])
            assert case not in HAND, case
        if len(cases) == 130:
            break
    with open(os.path.join(HERE, "tokenizer_settings.json"), "w") as f:
        json.dump({"base": json.dumps(BASE, separators=(",", ":"))[:-1], "texts": TEXTS, "cases": cases}, f, separators=(",", ":"))
        f.write("\n")
    print(len(cases), "cases,", refused, "refused")


if __name__ == "__main__":
    main()

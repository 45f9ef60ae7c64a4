#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/tokenizers: small tokenizer.json files in the forms of several model families, trained with
Hugging Face's `tokenizers`, and goldens.txt: for each of them (and, where there are any, those of ../shared) the
number of ids and CRC-32s of ids and decoded texts of hostile strings (tests/hostile_strings.h).

usage: make_tokenizer_goldens.py DUMP TEXT|- [TOKENIZER_DIR...]
DUMP: the program tests/tokenizer_dump.c; TEXT: something to train on, or - to leave the small ones as they are.
A line for a directory of ../shared holds the CRC-32 of its files: other files under its name have no golden.
Needs: pip install transformers tiktoken
"""
import json, os, struct, subprocess, sys, tempfile, zlib

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check_tokenizers import load, records, compare, unpack

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "tokenizers")
SEED, N = 7, 2000

CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_level(prefix=False, regex=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def sequence(key, *items):
    return {"type": "Sequence", key: list(items)}


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def metaspace(scheme, do_split):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": do_split}


LLAMA_NORMALIZER = sequence("normalizers", {"type": "Prepend", "prepend": "▁"}, replace(" ", "▁"))
LLAMA_DECODER = sequence("decoders", replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"},
                         {"type": "Strip", "content": " ", "start": 1, "stop": 0})


def template(token, token_id, after=()):
    return {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": token, "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}}] + [{"SpecialToken": {"id": t, "type_id": 0}} for t, _ in after],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in ((token, token_id), *after)}}


def added(i, content, special=True, normalized=False, lstrip=False, rstrip=False, single_word=False):
    return {"id": i, "content": content, "single_word": single_word, "lstrip": lstrip, "rstrip": rstrip,
            "normalized": normalized, "special": special}


def train(text, pre, size, alphabet, first):
    """A model trained on text, as a dict; its vocabulary begins with the tokens `first`."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre
    t.train_from_iterator([text], trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=first,
                                                      show_progress=False))
    return json.loads(t.to_str())["model"]


def files(text):
    small = text[:400000]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    gpt = train(small, pre_tokenizers.ByteLevel(add_prefix_space=False), 700, alphabet, [])
    gpt_n = len(gpt["vocab"])
    bytes_first = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]
    llama = train(small[:200000], pre_tokenizers.Metaspace(), 750, [], bytes_first)
    llama_n = len(llama["vocab"])
    tiny = train("".join(c for c in small[:30000] if c.isascii() and c.islower() or c == " "),
                 pre_tokenizers.Metaspace(), 200, [], ["<unk>"])
    tiny_n = len(tiny["vocab"])

    def make(model, n, norm=None, pre=None, post=None, dec=None, add=(), **settings):
        m = dict(model, **settings)
        m["merges"] = [list(x) if not isinstance(x, str) else x for x in m["merges"]]
        return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(add), "normalizer": norm,
                "pre_tokenizer": pre, "post_processor": post, "decoder": dec, "model": m}

    def ids(n, *names, **kw):
        return [added(n + i, t, **kw) for i, t in enumerate(names)]

    llama_settings = dict(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    yield "llama-3", make(gpt, gpt_n, None, sequence("pretokenizers", split(CL100K), byte_level()),
                          sequence("processors", byte_level(), template("<|begin_of_text|>", gpt_n)), byte_level(),
                          ids(gpt_n, "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|endoftext|>", "<|end|>"),
                          ignore_merges=True)
    # merges as strings, as older files have them
    o200k = make(gpt, gpt_n, None, sequence("pretokenizers", split(O200K), byte_level()), byte_level(), byte_level(),
                 ids(gpt_n, "<|endoftext|>") + ids(gpt_n + 3, "<|end|>", "<|user|>", "<|assistant|>", rstrip=True))
    o200k["model"]["merges"] = [" ".join(m) for m in o200k["model"]["merges"]]
    # ids with holes between them: then the special tokens are in the model's vocabulary too
    o200k["model"]["vocab"] = dict(gpt["vocab"], **{t["content"]: t["id"] for t in o200k["added_tokens"]})
    yield "o200k", o200k
    phi3 = [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>", special=False, rstrip=True)] + \
        ids(llama_n, "<|endoftext|>") + ids(llama_n + 1, "<|assistant|>", "<|system|>", "<|end|>", "<|user|>", rstrip=True)
    yield "phi-3", make(llama, llama_n, LLAMA_NORMALIZER, None, template("<s>", 1, (("</s>", 2),)), LLAMA_DECODER, phi3,
                        **llama_settings)
    pairs = {"llama": (llama, llama_n, llama_settings), "gpt": (gpt, gpt_n, {}), "tiny": (tiny, tiny_n, {})}
    # The others differ from one of those in a few settings each: {"base": ..., "set": {...}} keeps the files small.
    yield "variants", [
        ("mistral", "llama", dict(pre_tokenizer=metaspace("first", False), decoder=sequence("decoders", replace("▁", " "),
         {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}),
         added_tokens=[added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")]), llama_settings),
        ("llama-2", "llama", dict(normalizer=LLAMA_NORMALIZER, decoder=LLAMA_DECODER, post_processor=template("<s>", 1),
         added_tokens=[added(i, t, normalized=True) for i, t in enumerate(("<unk>", "<s>", "</s>"))]), llama_settings),
        ("gemma", "llama", dict(normalizer=replace(" ", "▁"), pre_tokenizer=split(" ", "MergedWithPrevious", kind="String"),
         decoder=sequence("decoders", replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"}),
         added_tokens=[added(2, "</s>"), added(llama_n, "\n\n", special=False), added(llama_n + 1, "<h1>", special=False)]),
         llama_settings),
        ("metaspace-always", "llama", dict(pre_tokenizer=metaspace("always", True), decoder=metaspace("always", True),
         added_tokens=[added(1, "<s>", lstrip=True), added(2, "</s>", lstrip=True, rstrip=True)]), llama_settings),
        ("metaspace-never", "llama", dict(pre_tokenizer=sequence("pretokenizers", {"type": "WhitespaceSplit"},
         metaspace("never", True)), decoder=metaspace("never", True)), dict(llama_settings, byte_fallback=False)),
        ("unknown", "tiny", dict(normalizer=LLAMA_NORMALIZER, decoder=LLAMA_DECODER), dict(unk_token="<unk>", fuse_unk=False)),
        ("unknown-fused", "tiny", dict(normalizer={"type": "NFKD"}, decoder={"type": "Fuse"}), dict(unk_token="<unk>", fuse_unk=True)),
        ("unknown-dropped", "tiny", dict(normalizer={"type": "NFD"}), {}),
        ("qwen", "gpt", dict(normalizer={"type": "NFC"}, pre_tokenizer=sequence("pretokenizers", split(QWEN), byte_level()),
         decoder=byte_level(), added_tokens=ids(gpt_n, "<|endoftext|>", "<|im_start|>", "<|im_end|>")), {}),
        ("smollm", "gpt", dict(pre_tokenizer=sequence("pretokenizers", {"type": "Digits", "individual_digits": True},
         byte_level(regex=True)), decoder=byte_level(), added_tokens=ids(gpt_n, "<|im_start|>", "<|im_end|>")), {}),
        ("phi-2", "gpt", dict(pre_tokenizer=byte_level(prefix=True, regex=True), decoder=byte_level(), added_tokens=
         [added(gpt_n + i, s, special=False, normalized=True) for i, s in enumerate((" " * 8, " " * 4, "  ", "\t\t"))]), {}),
        ("added", "gpt", dict(normalizer=sequence("normalizers", {"type": "NFKC"}, {"type": "Lowercase"}), pre_tokenizer=
         byte_level(regex=True), decoder=byte_level(), added_tokens=[added(gpt_n, "Hello", special=False, normalized=True, single_word=True),
         added(gpt_n + 1, "the", special=False, normalized=True, lstrip=True), added(gpt_n + 2, "WORLD", special=True, single_word=True),
         added(gpt_n + 3, "你好", special=False, rstrip=True), added(gpt_n + 4, " \n", special=False), added(gpt_n + 5, " \n \n", special=False), added(gpt_n + 6, "<s>", lstrip=True, rstrip=True),
         added(gpt_n + 7, "a", special=False, single_word=True, lstrip=True, rstrip=True)]), {}),
        ("deepseek", "gpt", dict(pre_tokenizer=sequence("pretokenizers", split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"),
         split(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
               r"""|\s*[\r\n]+|\s+(?!\S)|\s+"""), byte_level()), decoder=byte_level()), {}),
        ("splits", "gpt", dict(normalizer=sequence("normalizers", {"type": "Strip", "strip_left": True, "strip_right": True},
         replace(r"\s{2,}", "  ", "Regex"), replace("the", "THE")), pre_tokenizer=sequence("pretokenizers",
         {"type": "Digits", "individual_digits": False}, {"type": "Punctuation", "behavior": "Contiguous"},
         split("a", "MergedWithPrevious", kind="String"), split(r"\w+", "MergedWithNext"), split("[eé]", "Contiguous"),
         split(r"\s", "Removed"), byte_level()), decoder=byte_level()), {}),
        ("inverted", "gpt", dict(pre_tokenizer=sequence("pretokenizers", split(r"\w+|[^\w\s]+", "Removed", True),
         split("o", "MergedWithPrevious", True), split("n", "MergedWithNext", True), split(r"x*", "Isolated"), byte_level()), decoder=byte_level()), {}),
        ("words", "gpt", dict(normalizer={"type": "ByteLevel"}, pre_tokenizer={"type": "Whitespace"}, decoder=sequence("decoders", byte_level(),
         {"type": "Strip", "content": " ", "start": 1, "stop": 0})), {}),
    ], pairs, make


def write(name, j):
    os.makedirs(os.path.join(OUT, name), exist_ok=True)
    with open(os.path.join(OUT, name, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump(j, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def golden(name, directory, dump, n):
    tok = load(directory)
    data = subprocess.run([dump, directory, "hostile", str(SEED), str(n)], stdout=subprocess.PIPE, check=True).stdout
    bad = compare(name, tok, data)
    count = crc_ids = crc_text = 0
    for text, _, _, _ in records(data):
        s = text.decode("utf-8", errors="replace")
        want = tok.encode(s, add_special_tokens=True).ids
        count += len(want)
        crc_ids = zlib.crc32(struct.pack(f"<{len(want)}i", *want), crc_ids)
        crc_text = zlib.crc32(tok.decode(want, skip_special_tokens=False).encode() + b"\0", crc_text)
    return f"{name} {SEED} {n} {count} {crc_ids:08x} {crc_text:08x}\n", bad


def main():
    dump, lines, bad = sys.argv[1], [], 0
    if sys.argv[2] == "-":
        lines = [line for line in open(os.path.join(OUT, "goldens.txt")) if not line.startswith(("#", "shared"))]
    for item in files(open(sys.argv[2], encoding="utf-8").read()) if sys.argv[2] != "-" else []:
        if item[0] != "variants":
            write(*item)
            names = [item[0]]
        else:
            _, variants, bases, make = item
            names = []
            for name, base, parts, settings in variants:
                model, n, extra = bases[base]
                j = make(model, n, **{}, **settings)
                j.update(parts)
                j["model"]["merges"] = j["model"]["merges"] if base == "tiny" else j["model"]["merges"][:80]
                if base != "tiny": # a smaller vocabulary: what the first merges need
                    keep = set(model["vocab"]) - {"".join(m) for m in model["merges"]}
                    keep |= {"".join(m) for m in j["model"]["merges"]}
                    order = sorted(keep, key=lambda t: model["vocab"][t])
                    j["model"]["vocab"] = {t: i for i, t in enumerate(order)}
                    for a in j["added_tokens"]:
                        if a["id"] >= n: a["id"] += len(order) - n
                        a["id"] = j["model"]["vocab"].get(a["content"], a["id"])
                write(name, j)
                names.append(name)
        for name in names:
            line, b = golden(name, os.path.join(OUT, name), dump, N)
            lines.append(line)
            bad += b
    for d in sys.argv[3:]:
        with tempfile.TemporaryDirectory() as scratch:
            crc = unpack(d, scratch)
            line, b = golden(os.path.basename(d.rstrip("/")), scratch, dump, 5000)
        lines.append(f"shared {crc:08x} {line}")
        bad += b
    with open(os.path.join(OUT, "goldens.txt"), "w") as f:
        f.write("# [shared, CRC-32 of its files,] tokenizer, seed, strings, ids in all, CRC-32 of the ids, of the decoded texts each with a NUL\n")
        f.writelines(lines)
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()

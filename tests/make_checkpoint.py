#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write a Hugging Face checkpoint with random weights in the shape of a published model (needs only NumPy).

For measuring speed, memory and file sizes at full scale, where the values do not matter: the text is noise. The
weights are deterministic for a seed, heavy-tailed, with a few outlier input channels. They are written as they are
made, so memory stays small. SHAPE is a folder of tests/golden/config (llama-3-8b, mistral-7b-v0.1, gemma-7b, phi-2,
phi-3-small-8k, mixtral-8x7b, ...), whose hub.json becomes config.json, or a config.json of your own.

usage: make_checkpoint.py OUT_DIR SHAPE [--layers N] [--tiny] [--vocab N] [--tokenizer DIR] [--seed S]
                          [--shard-bytes N]
"""
import argparse, fnmatch, gzip, json, os, shutil
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
POOL = 1 << 24  # values drawn once; matrices are cut from them at random places
TOKENIZER_FILES = ("tokenizer*.json*", "*.tiktoken", "special_tokens_map.json", "generation_config.json")


def shrunk(c):
    """The same architecture with 4 layers 256 wide, for tests."""
    heads, kv = c["num_attention_heads"], c.get("num_key_value_heads") or c["num_attention_heads"]
    c.update(hidden_size=256, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=max(1, 8 * kv // heads))
    c["ff_intermediate_size" if "ff_intermediate_size" in c else "intermediate_size"] = 512
    if c.get("head_dim"):
        c["head_dim"] = 64
    s = c.get("rope_scaling") or {}
    for k in ("short_factor", "long_factor"):
        if k in s:
            n = (c.get("head_dim") or 32) // 2
            s[k] = [s[k][i * len(s[k]) // n] for i in range(n)]


def with_bias(yes, name, shape):
    yield name + ".weight", shape
    if yes:
        yield name + ".bias", shape[:1]


def attention(c, p):
    t, d, heads = c["model_type"], c["hidden_size"], c["num_attention_heads"]
    kv, hd = c.get("num_key_value_heads") or heads, c.get("head_dim") or d // heads
    if t == "phi3small":
        yield from with_bias(True, p + "query_key_value", ((heads + 2 * kv) * hd, d))
        yield from with_bias(True, p + "dense", (d, heads * hd))
        return
    if t == "phi3":
        yield p + "qkv_proj.weight", ((heads + 2 * kv) * hd, d)
        yield p + "o_proj.weight", (d, heads * hd)
        return
    bias = c.get("attention_bias") or c.get("use_bias") or t == "phi"
    for name, n in (("q", heads), ("k", kv), ("v", kv)):
        yield from with_bias(bias or t == "qwen2", f"{p}{name}_proj", (n * hd, d))
    yield from with_bias(bias, p + ("dense" if t == "phi" else "o_proj"), (d, heads * hd))
    if t in ("qwen3", "gemma3_text"):
        yield p + "q_norm.weight", (hd,)
        yield p + "k_norm.weight", (hd,)


def feed_forward(c, p):
    t, d, f = c["model_type"], c["hidden_size"], c.get("ff_intermediate_size") or c["intermediate_size"]
    if t == "phi":
        yield from with_bias(True, p + "mlp.fc1", (f, d))
        yield from with_bias(True, p + "mlp.fc2", (d, f))
    elif t == "starcoder2":
        yield from with_bias(c["use_bias"], p + "mlp.c_fc", (f, d))
        yield from with_bias(c["use_bias"], p + "mlp.c_proj", (d, f))
    elif t == "phi3":
        yield p + "mlp.gate_up_proj.weight", (2 * f, d)
        yield p + "mlp.down_proj.weight", (d, f)
    elif t == "phi3small":
        yield from with_bias(True, p + "mlp.up_proj", (2 * f, d))
        yield from with_bias(True, p + "mlp.down_proj", (d, f))
    elif c.get("num_local_experts"):
        yield p + "block_sparse_moe.gate.weight", (c["num_local_experts"], d)
        for e in range(c["num_local_experts"]):
            for w, shape in (("w1", (f, d)), ("w2", (d, f)), ("w3", (f, d))):
                yield f"{p}block_sparse_moe.experts.{e}.{w}.weight", shape
    else:
        for name, shape in (("gate", (f, d)), ("up", (f, d)), ("down", (d, f))):
            yield from with_bias(c.get("mlp_bias"), f"{p}mlp.{name}_proj", shape)


def tensors(c):
    """(name, shape) of everything that the checkpoint holds."""
    t, d, v = c["model_type"], c["hidden_size"], c["vocab_size"]
    layer_norm = t in ("phi", "phi3small", "phimoe", "starcoder2")
    norms = ["input_layernorm"] + ["post_attention_layernorm"] * (t != "phi")
    if t in ("gemma2", "gemma3_text"):
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
    yield "model.embed_tokens.weight", (v, d)
    for l in range(c["num_hidden_layers"]):
        p = f"model.layers.{l}."
        for n in norms:
            yield from with_bias(layer_norm, p + n, (d,))
        yield from attention(c, p + "self_attn.")
        yield from feed_forward(c, p)
    yield from with_bias(layer_norm, "model.final_layernorm" if t in ("phi", "phi3small") else "model.norm", (d,))
    if not c.get("tie_word_embeddings", t.startswith(("gemma", "phi3small", "starcoder2"))):
        yield from with_bias(t == "phi" or c.get("lm_head_bias"), "lm_head", (v, d))


def to_bf16(x):
    """Round float32 to bfloat16 (nearest even), returned as uint16."""
    u = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)


def chunks(rng, pool, c, name, shape):
    """The tensor's values in BF16, some rows at a time."""
    if len(shape) == 1:
        x = 0.1 * rng.standard_normal(shape, dtype=np.float32)
        yield to_bf16(x + (name.endswith("norm.weight") and not c["model_type"].startswith("gemma")))
        return
    rows, cols = shape
    channel = np.ones(cols, np.float32)
    channel[rng.integers(0, cols, max(1, cols // 200))] *= 4.0  # outlier input channels
    step = max(1, POOL // 4 // cols)
    for r in range(0, rows, step):
        n = min(step, rows - r)
        at = rng.integers(0, POOL - n * cols)
        yield to_bf16(pool[at:at + n * cols].reshape(n, cols) * channel)


def write_shard(path, part, rng, pool, c):
    head, off = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in part:
        n = int(np.prod(shape)) * 2
        head[name] = dict(dtype="BF16", shape=list(shape), data_offsets=[off, off + n])
        off += n
    blob = json.dumps(head, separators=(",", ":")).encode()
    blob += b" " * (-len(blob) % 8)
    with open(path, "wb") as f:
        f.write(len(blob).to_bytes(8, "little"))
        f.write(blob)
        for name, shape in part:
            for x in chunks(rng, pool, c, name, shape):
                f.write(x)
    return off


def write_weights(out, c, seed, shard_bytes):
    shards, size = [[]], 0
    for name, shape in tensors(c):
        n = int(np.prod(shape)) * 2
        if shards[-1] and size + n > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append((name, shape))
        size += n
    rng = np.random.default_rng(seed)
    pool = rng.standard_normal(POOL, dtype=np.float32)
    pool *= 0.02 * (1.0 + 0.15 * pool * pool)  # heavier tails than a Gaussian
    where, total = {}, 0
    for k, part in enumerate(shards):
        file = "model.safetensors" if len(shards) == 1 else f"model-{k + 1:05d}-of-{len(shards):05d}.safetensors"
        total += write_shard(os.path.join(out, file), part, rng, pool, c)
        where.update({name: file for name, _ in part})
    if len(shards) > 1:
        with open(os.path.join(out, "model.safetensors.index.json"), "w") as f:
            json.dump(dict(metadata=dict(total_size=total), weight_map=where), f, indent=1)
    return total, len(shards)


def synthetic_tokenizer(c):
    """A byte-level BPE of single bytes, pairs of small letters, and those after a space; BOS as a post-processor."""
    byte = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    chars = [chr(b) for b in byte] + [chr(256 + i) for i in range(256 - len(byte))]
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    merges = [[a, b] for a in letters for b in letters] + [["\u0120", b] for b in letters]
    ids = c["eos_token_id"] if isinstance(c["eos_token_id"], list) else [c["eos_token_id"]]
    special = {i: f"<|eos_{i}|>" for i in ids} | {c["bos_token_id"]: "<|bos|>"}
    free = (i for i in range(c["vocab_size"]) if i not in special)
    vocab = {t: i for t, i in zip(chars + [a + b for a, b in merges], free)}
    merges = [m for m in merges if "".join(m) in vocab]
    # Special tokens stand in the vocabulary, or they would get the next ids, as tokenizers counts; and no id is left out.
    used = set(vocab.values())
    vocab |= {special.get(i, f"<|{i}|>"): i for i in range(max(special) + 1) if i not in used}
    bos = dict(id="<|bos|>", ids=[c["bos_token_id"]], tokens=["<|bos|>"])
    use = c["model_type"] in ("llama", "mistral", "mixtral", "gemma", "gemma2", "gemma3_text")
    front = [dict(SpecialToken=dict(id="<|bos|>", type_id=0))] if use else []
    sequence = lambda name: dict(Sequence=dict(id=name, type_id=0))
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    return dict(version="1.0", truncation=None, padding=None, normalizer=None, pre_tokenizer=level, decoder=level,
                added_tokens=[dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False,
                                   special=True) for i, t in sorted(special.items())],
                post_processor=dict(type="TemplateProcessing", single=front + [sequence("A")],
                                    pair=front + [sequence("A"), sequence("B")],
                                    special_tokens={"<|bos|>": bos} if use else {}),
                model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None,
                           end_of_word_suffix=None, fuse_unk=False, byte_fallback=False, ignore_merges=False,
                           vocab=vocab, merges=merges))


def copy_tokenizer(source, out):
    for name in os.listdir(source):
        if any(fnmatch.fnmatch(name, p) for p in TOKENIZER_FILES):
            path, plain = os.path.join(source, name), name.removesuffix(".gz").replace(".derived", "")
            with (gzip.open if name.endswith(".gz") else open)(path, "rb") as f:
                with open(os.path.join(out, plain), "wb") as g:
                    shutil.copyfileobj(f, g)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("shape")
    ap.add_argument("--layers", type=int, help="this many layers instead of the shape's")
    ap.add_argument("--tiny", action="store_true", help="4 layers, 256 wide, the same architecture")
    ap.add_argument("--vocab", type=int, help="this vocabulary; special ids beyond it become its last ones")
    ap.add_argument("--tokenizer", help="folder whose tokenizer files come along; without it, a synthetic one is made")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--shard-bytes", type=int, default=5 * 10**9)
    a = ap.parse_args()
    published = os.path.join(HERE, "golden", "config", a.shape, "hub.json")
    with open(published if os.path.exists(published) else a.shape) as f:
        c = json.load(f)
    if a.tiny:
        shrunk(c)
    if a.layers:
        c["num_hidden_layers"] = a.layers
    if a.vocab:
        c["vocab_size"] = a.vocab
        for k in [k for k in c if k.endswith("_token_id")]:
            small = [min(i, a.vocab - 1) for i in (c[k] if isinstance(c[k], list) else [c[k]])]
            c[k] = small if isinstance(c[k], list) else small[0]
    c["torch_dtype"] = "bfloat16"
    os.makedirs(a.out, exist_ok=True)
    total, shards = write_weights(a.out, c, a.seed, a.shard_bytes)
    with open(os.path.join(a.out, "config.json"), "w") as f:
        json.dump(c, f, indent=2)
    if a.tokenizer:
        copy_tokenizer(a.tokenizer, a.out)
    else:
        with open(os.path.join(a.out, "tokenizer.json"), "w", encoding="utf-8") as f:
            json.dump(synthetic_tokenizer(c), f, ensure_ascii=False, indent=1)
    print(f"{a.out}: {c['architectures'][0]}, {total:,} bytes in {shards} file{'s' * (shards > 1)}")


if __name__ == "__main__":
    main()

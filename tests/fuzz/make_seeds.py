#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the seeds of tests/fuzz/corpus that are made of goldens and of nothing: a block of each type of GGUF, the
configurations of published models, the templates of the Jinja goldens, folders that hold a whole
tiny checkpoint. Needs only Python; the other seeds are small files that were put there by hand.

usage: make_seeds.py
"""
import base64, json, os, struct

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "golden")
TOY = os.path.join(HERE, "..", "cli", "toy")
LAYER_BUFFER = "model.layers.0.self_attn.rotary_emb.inv_freq"  # saved by older programs, of no use


def read(*path):
    with open(os.path.join(*path), "rb") as f:
        return f.read()


def write(target, name, data):
    with open(os.path.join(HERE, "corpus", target, name), "wb") as f:
        f.write(data)


# ---- GGUF: the number, weights and bytes of every type that is read ----

TYPES = [(0, 1, 4), (1, 1, 2), (30, 1, 2), (8, 32, 34), (2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24),
         (10, 256, 84), (11, 256, 110), (12, 256, 144), (13, 256, 176), (14, 256, 210), (20, 32, 18), (23, 256, 136)]


def gguf_types():
    def text(s):
        return struct.pack("<Q", len(s)) + s

    def aligned(b):
        return b + bytes(-len(b) % 32)

    head, data = b"GGUF" + struct.pack("<IQQ", 3, len(TYPES), 1), b""
    head += text(b"general.architecture") + struct.pack("<I", 8) + text(b"toy")
    for number, block, size in TYPES:
        head += text(b"t%d" % number) + struct.pack("<IQIQ", 1, block, number, len(data))
        data = aligned(data + bytes((37 * i + number) % 251 for i in range(size)))
    write("gguf", "types", aligned(head) + data)


def gguf_models():
    for arch in ("gemma2", "gemma3", "phi2", "qwen3", "mistral"):
        write("gguf", arch, read(GOLDEN, "gguf", "archs", arch + ".gguf"))
    write("gguf", "version2", read(GOLDEN, "gguf", "version2.gguf"))


# ---- configurations ----

def configurations():
    for name in ("gemma-7b", "gemma-2-9b", "gemma-3-1b", "llama-3.1-8b", "mistral-7b-v0.1", "mixtral-8x7b", "phi-2",
                 "phi-3-small-8k", "phi-3.5-moe", "phi-4-mini", "qwen2.5-7b-yarn", "qwen3-1.7b", "attention-factor",
                 "no-stretch"):
        for kind in ("hub", "saved"):
            path = os.path.join(GOLDEN, "config", name, kind + ".json")
            if os.path.exists(path):
                write("hf_config", f"{name}.{kind}", read(path))


# ---- templates: those that people wrote, not the drawn ones behind them; many in a file ----

def templates(written=780, a_file=130):
    texts = [t for t, _ in json.loads(read(GOLDEN, "jinja.json"))[:written]]
    for i in range(0, len(texts), a_file):
        write("chat_template", "goldens_%d" % (i // a_file), "\x1e".join(texts[i:i + a_file]).encode())
    for name in ("llama-3.2", "gemma-3", "phi-4-mini"):
        write("chat_template", name, read(GOLDEN, "chat_templates", name + ".jinja"))


# ---- folders ----

def folder(name, files):
    """As fuzz_checkpoint.c takes them apart."""
    out = b""
    for file, data in files.items():
        data = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
        out += b"%s %d\n" % (file.encode(), len(data)) + data
    write("checkpoint", name, out)


def tiny(architecture, model_type, vocab=128, nan_row=None, extra=()):
    """A model of one layer, 16 wide, whose weights are zeros but for one NaN."""
    d, f = 16, 16
    config = {"architectures": [architecture], "model_type": model_type, "hidden_size": d, "intermediate_size": f,
              "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": vocab,
              "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
              "tie_word_embeddings": False, "head_dim": 16}
    layer = "model.layers.0."
    shapes = {"model.embed_tokens.weight": [vocab, d], "lm_head.weight": [vocab, d], "model.norm.weight": [d]}
    shapes.update({layer + f"self_attn.{x}_proj.weight": [d, d] for x in "qkvo"})
    shapes.update({layer + f"mlp.{x}_proj.weight": [f, d] for x in ("gate", "up", "down")})
    shapes.update({layer + f"{x}_layernorm.weight": [d] for x in ("input", "post_attention")})
    shapes.update({name: [4] for name in extra})
    header, data = {}, b""
    for name, shape in shapes.items():
        n = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [len(data), len(data) + n]}
        piece = bytearray(n)
        if name.startswith("model.embed") and nan_row is not None:
            piece[nan_row * 2 * d + 1] = 0x7E
        data += bytes(piece)
    text = json.dumps(header, separators=(",", ":")).encode()
    return config, struct.pack("<Q", len(text)) + text + data


def folders():
    config, weights = tiny("LlamaForCausalLM", "llama", nan_row=127)
    tokenizer = {"tokenizer.json": read(TOY, "tokenizer.json"),
                 "tokenizer_config.json": read(TOY, "tokenizer_config.json")}
    folder("whole", {"config.json": config, "model.safetensors": weights, **tokenizer})
    tied = dict(config, tie_word_embeddings=True)
    folder("tied", {"config.json": tied, "model.safetensors": weights, **tokenizer})
    for name, tensor in (("left_out", LAYER_BUFFER), ("no_place", "model.layers.0.other.weight")):
        folder(name, {"config.json": config, "model.safetensors": tiny("", "", extra=[tensor])[1]})
    ranks = b"".join(b"%s %d\n" % (base64.b64encode(bytes([i])), i) for i in range(256))
    ranks += b"".join(b"%s %d\n" % (base64.b64encode(t), 256 + i) for i, t in enumerate((b"he", b"ll", b"hell", b" t")))
    wide, more = tiny("LlamaForCausalLM", "llama", vocab=272)
    folder("tiktoken", {"config.json": wide, "model.safetensors": more, "cl100k_base.tiktoken": ranks,
                        "tokenizer_config.json": {"added_tokens_decoder": {"260": {"content": "<|end|>",
                                                                                   "special": True}}}})


def packed():
    """What other tools have packed: tests/golden/packed."""
    for kind in ("gptq4_act", "gptq3", "awq4", "ct4_zeros", "ct_int8_zeros", "mlx4"):
        files = {name: read(GOLDEN, "packed", kind, name) for name in ("config.json", "model.safetensors")}
        folder("packed_" + kind, files)
    config = json.loads(read(GOLDEN, "packed", "gptq2", "config.json"))
    quant = config.pop("quantization_config")
    folder("packed_old", {"config.json": config, "quantize_config.json": quant,
                          "model.safetensors": read(GOLDEN, "packed", "gptq2", "model.safetensors")})


if __name__ == "__main__":
    gguf_types()
    gguf_models()
    configurations()
    templates()
    folders()
    packed()

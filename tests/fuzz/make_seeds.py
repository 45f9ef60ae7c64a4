#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the seeds of tests/fuzz/corpus that are made of goldens and of nothing: a block of each type of GGUF, the
configurations of published models, the templates of the Jinja goldens, folders that hold a whole
tiny checkpoint, the built-in tasks with rows for them, a snapshot of the hub. Needs only Python; the other seeds are small files that were put there by hand.

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
    for name in ("gemma.gguf", "llama-3.gguf", "o200k.gguf", "phi-2.gguf", "phi-3.gguf"):
        write("gguf", "tokenizer_" + name.split(".")[0], read(GOLDEN, "gguf", "tokenizers", name))
    for arch in ("gemma2", "gemma3", "phi2", "qwen3", "mistral"):
        write("gguf", arch, read(GOLDEN, "gguf", "archs", arch + ".gguf"))
    write("gguf", "version2", read(GOLDEN, "gguf", "version2.gguf"))


def value(v):
    """A key's value with its type: int, float, bool, text or a list of one of them."""
    if isinstance(v, list):
        kind, data = (value(v[0])[0], b"".join(value(e)[1] for e in v)) if v else (4, b"")
        return 9, struct.pack("<IQ", kind, len(v)) + data
    if isinstance(v, bool):
        return 7, struct.pack("<B", v)
    if isinstance(v, int):
        return (5, struct.pack("<i", v)) if v < 0 else (4, struct.pack("<I", v))
    if isinstance(v, float):
        return 6, struct.pack("<f", v)
    return 8, struct.pack("<Q", len(v)) + v.encode()


def gguf(name, keys, tensors=(("t0", [32]),)):
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for key, v in keys:
        kind, data = v if isinstance(v, tuple) else value(v)
        out += value(key)[1] + struct.pack("<I", kind) + data
    offset = 0
    for tensor, shape in tensors:
        out += value(tensor)[1] + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", d) for d in shape)
        out += struct.pack("<IQ", 0, offset)
        offset += 4 * max(1, shape[0])
    write("gguf", name, out + bytes(-len(out) % 32) + bytes(offset))


def gguf_refused():
    """Files that each end in another refusal, and models that are described in ways the goldens do not have."""
    arch = ("general.architecture", "llama")
    model = [arch] + [("llama." + k, v) for k, v in (
        ("block_count", 1), ("embedding_length", 32), ("feed_forward_length", 32), ("attention.head_count", 1),
        ("context_length", 64), ("attention.layer_norm_rms_epsilon", 1e-5), ("vocab_size", 8))]
    gguf("alignment", [arch, ("general.alignment", 64)])
    gguf("bad_alignment", [arch, ("general.alignment", 48)])
    gguf("text_alignment", [arch, ("general.alignment", "32")])
    gguf("twice", [arch, arch])
    gguf("tensor_twice", [arch], (("t", [32]), ("t", [32])))
    gguf("empty_tensor", [arch], (("t", [0]),))
    gguf("bad_truth", [arch, ("b", (7, b"\2"))])
    gguf("lists_in_lists", [arch, ("a", (9, struct.pack("<IQ", 9, 1) + value([1])[1]))])
    for name, more in (("yarn", [("rope.scaling.type", "yarn"), ("rope.scaling.factor", 4.0),
                                 ("rope.scaling.original_context_length", 16)]),
                       ("linear", [("rope.scaling.type", "linear"), ("rope.scaling.factor", 2.0)]),
                       ("other_rope", [("rope.scaling.type", "other")]), ("experts", [("expert_count", 4)]),
                       ("odd_rotary", [("rope.dimension_count", 5)])):
        gguf("config_" + name, model + [("llama." + k, v) for k, v in more])
    tokens = ["<unk>", "<s>", "</s>", "a", "b", "ab", "<|end|>", "<|im_end|>", "\u0120a", "c"]
    types = [2, 3, 3, 1, 1, 1, 3, 3, 1, 1]
    spm = [("tokenizer.ggml.model", "llama"), ("tokenizer.ggml.tokens", tokens), ("tokenizer.ggml.token_type", types),
           ("tokenizer.ggml.scores", [-float(i) for i in range(10)])]
    bpe = [("tokenizer.ggml.model", "gpt2"), ("tokenizer.ggml.tokens", tokens), ("tokenizer.ggml.token_type", types),
           ("tokenizer.ggml.merges", ["a b"])]
    gguf("spm", model + spm + [("tokenizer.ggml.bos_token_id", 1), ("tokenizer.ggml.eos_token_id", 2)])
    for pre in ("llama-bpe", "gpt-4o", "dbrx", "phi-2", "qwen2", "refact", "nobody"):
        gguf("pre_" + pre, model + bpe + [("tokenizer.ggml.pre", pre), ("tokenizer.ggml.eos_token_id", 2)])
    gguf("other_tokenizer", model + [("tokenizer.ggml.model", "bert")] + spm[1:])
    gguf("no_tokens", model + spm[:1])
    gguf("no_scores", model + spm[:3])
    gguf("no_merges", model + bpe[:3] + [("tokenizer.ggml.pre", "llama-bpe")])
    gguf("few_types", model + spm[:2] + [("tokenizer.ggml.token_type", [1])] + spm[3:])
    gguf("text_types", model + spm[:2] + [("tokenizer.ggml.token_type", tokens)] + spm[3:])
    gguf("no_bos", model + spm + [("tokenizer.ggml.bos_token_id", -1)])


# ---- tasks: each that is built in, with rows; refused ones ----

def tasks():
    rows = {
        "gsm8k": [{"question": "2 and 3?", "answer": "2 + 3 = 5\n#### 5"}, {"question": "4?", "answer": "#### 4"}],
        "mmlu_pro_cot": [{"question": "q", "options": ["a", "b", "c"], "answer": "B", "category": "law", "cot_content": "A: x"}],
        "triviaqa": [{"question": "q", "answer": {"aliases": ["x", "y"], "normalized_aliases": ["x"], "value": "x"}}],
        "minerva_math": [{"problem": "p", "solution": "so \\boxed{5}", "level": "Level 1", "type": "Algebra"}],
        "ifeval": [{"key": 1, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}],
        "bbh_cot_zeroshot": [{"input": "i", "target": "t"}],
    }
    for name, list_ in rows.items():
        task = read(HERE, "..", "..", "data", "tasks", name + ".json")
        write("task", name, task + b"\0" + b"".join(json.dumps(r).encode() + b"\n" for r in list_))
        first = "".join(json.dumps(r) + "\n" for r in list_)
        write("dataset", name, f"{name} test.jsonl\n{first}".encode())
    data = {"splits": {"test": ["t.jsonl"]}, "question": "q", "choices": "c[]", "answer": "a"}
    base = {"task": "t", "version": 1, "data": data, "prompt": "{{question}}", "score": "letters"}
    written = {"task": "t", "version": 1, "data": {"splits": {"test": ["t.jsonl"]}, "question": "q", "targets": "a[]",
                                                   "where": {"level": ["1", "2"], "ok": "yes"}},
               "prompt": "{{question}}", "score": "generate", "extract": {"x": [{"regex": "."}]},
               "generate": {"stop": ["\n"], "max_tokens": 4, "samples": 2, "temperature": 0.5, "top_p": 0.9},
               "by_subject": {"s": {"header": "h", "prompt": "{{question}}"}}, "categories": {"c": ["s"]}}

    def one(name, task, **change):
        task = json.loads(json.dumps(task))
        for path, v in change.items():
            at = task
            *way, last = path.split("__")
            for key in way:
                at = at.setdefault(key, {})
            at[last] = v
        rows = [{"q": "x", "a": ["y"], "level": "1", "ok": "yes"}, {"q": "z", "a": ["y"], "level": "3", "ok": "yes"},
                {"q": "x", "a": [], "level": "1", "ok": "yes"}, {"q": "x", "a": [{}], "level": "1", "ok": "yes"},
                {"q": "x", "level": ["1"], "ok": "yes"}]
        for i in range(len(rows)):
            if i and name != "written":
                break
            write("task", f"{name}{i or ''}", json.dumps(task).encode() + b"\0" + json.dumps(rows[i]).encode() + b"\n")

    one("written", written)
    one("no_stop", written, generate__stop=[""])
    one("stop_numbers", written, generate__stop=[1])
    one("hot", written, generate__temperature=101)
    one("by_text", written, by_subject__s="x")
    one("by_key", written, by_subject__s={"other": 1})
    one("where_path", written, data__where={"a..b": "x"})
    one("where_number", written, data__where={"a": 1})
    one("metric_mark", base, metric="mark")
    one("target_letters", base, target="x")
    one("path_number", base, data__question=1)
    one("path_bad", base, data__question="a..b")
    one("no_answer", {**base, "data": {k: v for k, v in data.items() if k != "answer"}})
    one("no_choices", {**base, "data": {k: v for k, v in data.items() if k != "choices"}})
    one("no_targets", {**written, "data": {k: v for k, v in written["data"].items() if k != "targets"}})
    one("no_from", base, shots={"count": 2})


def hub():
    """Parquet as a data set: a file that the tables of its task describe."""
    for task, path in (("boolq", "boolq/data/validation-00000-of-00001.parquet"),
                       ("arc_easy", "ai2_arc/ARC-Easy/test/0000.parquet"), ("piqa", "piqa/plain_text/validation/0000.parquet")):
        write("dataset", "parquet_" + task, f"{task} ./x.parquet\n".encode() + read(GOLDEN, "hub", *path.split("/")))
    for name in ("codec_gzip", "codec_lz4", "dictionary_full"):
        write("parquet", name, read(GOLDEN, "parquet", name + ".parquet"))


# ---- configurations ----

def configurations():
    for name in ("gemma-7b", "gemma-2-9b", "gemma-3-1b", "llama-3.1-8b", "mistral-7b-v0.1", "mixtral-8x7b", "phi-2",
                 "phi-3-small-8k", "phi-3.5-moe", "phi-4-mini", "qwen2.5-7b-yarn", "qwen3-1.7b", "attention-factor",
                 "no-stretch"):
        for kind in ("hub", "saved"):
            path = os.path.join(GOLDEN, "config", name, kind + ".json")
            if os.path.exists(path):
                write("hf_config", f"{name}.{kind}", read(path))


def refused_configurations():
    """What is refused or read in a way that no published model has; behind a NUL a generation_config.json."""
    base = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 32,
            "num_hidden_layers": 2, "num_attention_heads": 1, "num_key_value_heads": 1, "vocab_size": 64,
            "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "hidden_act": "silu"}
    starcoder = dict(base, architectures=["Starcoder2ForCausalLM"], model_type="starcoder2", norm_epsilon=1e-5,
                     hidden_act="gelu_pytorch_tanh", use_bias=True)

    def one(name, generation=None, **change):
        text = json.dumps({**base, **change}).encode()
        write("hf_config", name, text + (b"" if generation is None else b"\0" + json.dumps(generation).encode()))

    one("starcoder2", **starcoder)
    one("other_type", model_type="phi3")
    one("biases", mlp_bias=True)
    one("rounded", quantization_config={"quant_method": "gptq"})
    one("many_ends", eos_token_id=list(range(40)))
    one("generation", {"eos_token_id": [2, 5], "bos_token_id": 1})
    one("bad_generation", {"eos_token_id": "x"})
    one("partial", partial_rotary_factor=2.0)
    one("activation", hidden_act="tanh")


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
    folder("split_gguf", {f"m-0000{i}-of-00002.gguf": read(GOLDEN, "gguf", f"parts-0000{i}-of-00002.gguf")
                          for i in (1, 2)})
    folder("one_split", {"m-00001-of-00002.gguf": read(GOLDEN, "gguf", "parts-00001-of-00002.gguf")})
    folder("second_split", {"m-00001-of-00002.gguf": read(GOLDEN, "gguf", "parts-00002-of-00002.gguf")})
    folder("cache_root", {"snapshots/abc": b"x"})
    folder("inner", {"sub/config.json": config})
    folder("lfs", {"config.json": config, "model.safetensors": b"version https://git-lfs.github.com/spec/v1\n"})
    folder("generation", {"config.json": config, "model.safetensors": weights, **tokenizer,
                          "generation_config.json": {"eos_token_id": [2, 3]}})
    folder("base_adapter", {"config.json": config, "adapter_config.json": {"base_model_name_or_path": "a/b"}})
    for name, tensor in (("headless", "layers.0.mlp.up_proj.weight"), ("with_adapter", "layers.0.lora_A.weight")):
        header = {tensor: {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}
        folder(name, {"config.json": config, "model.safetensors": json.dumps(header).encode()})
    wide, more = tiny("LlamaForCausalLM", "llama", vocab=272)
    folder("tiktoken", {"config.json": wide, "model.safetensors": more, "cl100k_base.tiktoken": ranks,
                        "tokenizer_config.json": {"added_tokens_decoder": {"260": {"content": "<|end|>",
                                                                                   "special": True}}}})


if __name__ == "__main__":
    gguf_types()
    gguf_models()
    gguf_refused()
    tasks()
    hub()
    configurations()
    refused_configurations()
    templates()
    folders()

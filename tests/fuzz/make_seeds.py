#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the seeds of tests/fuzz/corpus that are made of goldens and of nothing: a block of each type of GGUF, the
configurations of published models, the templates of the Jinja goldens, folders that hold a whole
tiny checkpoint, the built-in tasks with rows for them, a snapshot of the hub, inputs that are each refused for a reason
of their own. Needs only Python; the other seeds are small files that were put there by hand.

usage: make_seeds.py
"""
import base64, json, os, struct, zlib

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


def packed():
    """What other tools have packed: tests/golden/packed."""
    for kind in ("gptq4_act", "gptq3", "awq4", "ct4_zeros", "ct_int8_zeros", "mlx4"):
        files = {name: read(GOLDEN, "packed", kind, name) for name in ("config.json", "model.safetensors")}
        folder("packed_" + kind, files)
    config = json.loads(read(GOLDEN, "packed", "gptq2", "config.json"))
    quant = config.pop("quantization_config")
    folder("packed_old", {"config.json": config, "quantize_config.json": quant,
                          "model.safetensors": read(GOLDEN, "packed", "gptq2", "model.safetensors")})


# ---- results, suites, samples, limits: what is refused, each in its own way ----

def results():
    """Variants of written.json, a result of the toy model that was put into the corpus."""
    whole = json.loads(read(HERE, "corpus", "result", "written.json"))

    def one(name, change):
        r = json.loads(json.dumps(whole))
        change(r["protocol"], r["answers"], r["measured"], r)
        write("result", "refused_" + name, json.dumps(r, separators=(",", ":")).encode())

    one("marks", lambda p, a, m, r: p.update(marks=[1]))
    one("no_marks", lambda p, a, m, r: p.pop("marks"))
    one("prompt_hash", lambda p, a, m, r: a[0].update(prompt_xxh3="x"))
    one("twice", lambda p, a, m, r: a.append(a[0]))
    one("stopped", lambda p, a, m, r: p.update(stopped_at=1))
    one("newer", lambda p, a, m, r: r.update(format_version=2))
    one("series", lambda p, a, m, r: m.update(memory_series=[[1, 2]]))
    one("no_texts", lambda p, a, m, r: a[0].update(written=[]))
    one("text_numbers", lambda p, a, m, r: a[0].update(written=[1]))
    one("found", lambda p, a, m, r: a[0].update(found=["x"]))
    one("tokens", lambda p, a, m, r: a[0].update(new_tokens=[1]))
    one("mark", lambda p, a, m, r: a[0].update(marks=[2, 0]))
    write("journal", "texts", struct.pack("<III", 2, 1, 1) + b"p" + struct.pack("<II", 3, 2) + b"ab" +
          struct.pack("<II", 1, 0))


def suites():
    row = {"name": "a", "task": "mmlu", "data": ["a"]}
    for name, change in (("texts", {"data": [1]}), ("long_name", {"name": "x" * 70}), ("below", {"data": ["c", "a"]}),
                         ("zipped", {"data": ["b"]}), ("unknown", {"x": 1}), ("both", {"needs": "x"})):
        write("suite", name, json.dumps({"suite": "x", "rows": [{**row, **change}]}).encode())
    write("suite", "published", json.dumps({"suite": "x", "published": "nothing", "rows": [row]}).encode())
    for name, change in (("margin", {"margin": 200}), ("kld", {"max_kld": -1}), ("paired", {"min_paired": 101})):
        write("gate", "refused_" + name, json.dumps(change).encode())


def samples():
    def line(right, logprobs, choices=(" x", " y"), **more):
        return json.dumps({"doc_id": 0, "target": right, "filtered_resps": [[v, "False"] for v in logprobs],
                           "arguments": {f"gen_args_{i}": {"arg_0": "q" if len(set(choices)) > 1 else f"q{i}", "arg_1": c}
                                         for i, c in enumerate(choices)}, **more}).encode() + b"\n"
    two, other = line("0", ["-1", "-2"], acc=1.0), line("1", ["-2", "-1"], acc=1.0)
    write("lmeval", "twins", two + two + two)
    write("lmeval", "other_target", two + b"\0" + other)
    write("lmeval", "no_pair", two + b"\0" + line("0", ["-1", "-2"], (" a", " b")))
    write("lmeval", "not_said", line("x", ["-1", "-2", "-3"], ("x", "x", "x")))
    write("lmeval", "positive", line("0", ["1", "-2"]))
    write("lmeval", "few", line("0", ["-1"]))
    write("lmeval", "no_choice", line("z", ["-1", "-2"]))
    write("lmeval", "wrong_acc", line("0", ["-1", "-2"], acc=0.0))
    write("lmeval", "number", line(1, ["-2", "-1"]) + line("[1]", ["-2", "-1"]) + line(" y", ["-2", "-1"]))
    write("lmeval", "written", b'{"doc_id": 0, "arguments": {"a": {"arg_0": "q", "arg_1": {"until": []}}}}\n')
    write("lmeval", "half", line("0", ["-1", "-2"], acc=0.5))


def requests():
    for name, body in (("prompt_object", b'0{"prompt":{}}'), ("prompts_many", b'0{"prompt":["' + b'","' * 200 + b'"]}'),
                       ("prompt_mixed", b'0{"prompt":["a",{}]}'), ("stop_number", b'0{"prompt":"a","stop":1}'),
                       ("stop_many", b'0{"prompt":"a","stop":["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a"]}'),
                       ("stop_long", b'0{"prompt":"a","stop":"' + b"a" * 3000 + b'"}'),
                       ("choices_many", b'0{"prompt":["a","a","a","a","a","a","a","a"],"n":100}'),
                       ("choices_more", b'0{"prompt":["a","a","a","a","a","a","a","a"],"n":20}'),
                       ("tool_choice", b'1{"messages":[{"role":"user","content":"x"}],"tool_choice":false,"echo":false}')):
        write("serve_request", name, body)


# ---- what a calibration is drawn from ----

def zipped(members):
    out, directory = b"", b""
    for name, data in members:
        name, crc = name.encode(), zlib.crc32(data)
        fields = struct.pack("<HHHHIIIH", 0, 0, 0, 33, crc, len(data), len(data), len(name))
        directory += b"PK\1\2" + struct.pack("<HH", 20, 20) + fields + struct.pack("<HHHHII", 0, 0, 0, 0, 0, len(out)) + name
        out += b"PK\3\4" + struct.pack("<H", 20) + fields + struct.pack("<H", 0) + name + data
    return out + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(out), 0)


def calibration():
    chat = b'{"messages": [{"role": "user", "content": "ab c"}, {"role": "assistant", "content": "d"}]}\n'
    for name, data in (("text", b"x.txt\nthe ab c\n\nd e"), ("chat", b"x.jsonl\n" + chat + chat.replace(b"messages", b"conversations")),
                       ("list", b"x.json\n[" + chat + b"]"), ("no_list", b'x.jsonl\n{"text": "x"}\n'),
                       ("no_role", b'x.jsonl\n{"messages": [{"content": "x"}]}\n'), ("model", b"x.txt\nGGUF" + bytes(40)),
                       ("zip", b"x.zip\n" + zipped([("a.txt", b"the"), ("b.jsonl", chat), ("c.bin", b"x")])),
                       ("empty_zip", b"x.zip\n" + zipped([("a.bin", b"x"), ("b.bin", b"y")]))):
        write("calib_source", name, data)
    for name, members in (("zip_out", [("../a", b"x")]), ("zip_twice", [("a", b"x"), ("a", b"y")]),
                          ("zip_below", [("./a", b"x"), ("b/", b""), ("b/c.gz", b"\x1f\x8bx")])):
        write("archive", name, zipped(members))


# ---- tokenizers ----

def tokenizers():
    base = json.loads(read(TOY, "tokenizer.json"))

    def one(name, **change):
        text = json.loads(json.dumps(base))
        for path, v in change.items():
            at = text
            *way, last = path.split("__")
            for key in way:
                at = at[key]
            at[last] = v
        data = json.dumps(text, separators=(",", ":"), ensure_ascii=False).encode()
        write("tokenizer_json", name, data + b" " * ((3 - len(data)) % 6))  # odd, so that it is the settings as well

    for i, pattern in enumerate((r"\x41|\x{42}|\pL", r"[\x41-\x5a]+|\d+|\w+|\s", r"\pL", r"(?#x)a", r"a{2}+", r"{|a{1,2}",
                                 r"[[a]]", r"\q", r"\p{L", r"[a", r"[^\S]", r"\v|\é|\p{Nd}|[\p{L}\p{M}]", r"(a*)*b")):
        one(f"regex_{i}", pre_tokenizer={"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"})
    one("behavior", pre_tokenizer={"type": "Split", "pattern": {"String": "a"}, "behavior": "x"})
    meta = {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "add_prefix_space": True}
    one("metaspace", pre_tokenizer=meta)
    one("metaspace_odd", pre_tokenizer={**meta, "add_prefix_space": False})
    one("metaspace_other", pre_tokenizer={**meta, "prepend_scheme": "x"})
    one("processors", post_processor={"type": "Sequence", "processors": [{"type": "ByteLevel"}, base["post_processor"]]})
    one("processor_twice", post_processor={"type": "Sequence", "processors": [base["post_processor"]] * 2})
    single = [{"SpecialToken": {"id": "<s>", "type_id": 0}}]
    one("template_without", post_processor__single=single)
    one("template_behind", post_processor__single=[{"Sequence": {"id": "A", "type_id": 0}}] + single)
    one("dropout", model__dropout=0.5)
    one("merge_number", model__merges=[1])
    one("hole", model__vocab={"a": 100000})
    one("ascii", pre_tokenizer={"type": "Punctuation", "behavior": "Contiguous"})
    one("lower", normalizer={"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "NFC"}]})
    one("templates", chat_template=[{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}])
    one("split_special", split_special_tokens=True)
    one("decoder_key", added_tokens_decoder={"x": {"content": "y"}})
    one("many_merges", model__merges=["a b"] * 40)


# ---- files that are damaged: each in its own way ----

def tensors():
    def one(name, header, data):
        text = json.dumps(header, separators=(",", ":")).encode()
        write("safetensors", name, struct.pack("<Q", len(text)) + text + bytes(data))

    def part(shape, begin, end):
        return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}

    one("backwards", {"a": part([1], 4, 0)}, 4)
    one("product", {"a": part([1 << 40, 1 << 40], 0, 4)}, 4)
    one("overlap", {"a": part([2], 0, 8), "b": part([2], 4, 12)}, 12)
    one("empties", {"a": part([0], 0, 0), "b": part([0], 0, 0), "c": part([1], 0, 4)}, 4)


def nbl():
    """toy.nbl with another provenance."""
    file = read(HERE, "corpus", "nbl", "toy.nbl")
    n, size, meta, tokenizer, data = struct.unpack_from("<I", file, 12)[0], *struct.unpack_from("<QQQQ", file, 32)
    records = bytearray(file[64:64 + 64 * n])
    at = 64 + 64 * n
    whole = json.loads(file[at:at + meta])
    solver = {"damp": 0.01, "sweeps": 1, "tables": True, "head_calibrated": True, "fold": True, "sequential": False,
              "tune": "10s"}
    for name, text in (("calibrated", "mix"), ("self", "self"), ("texts", "texts"), ("removed", "mix")):
        whole["provenance"].update(
            calibration={"kind": text, "tokens": 64, "seq": 32, "seed": 3}, tuned=[5, 1.0],
            recipe={"method": "gptq", "bits": 3, "group": 64, "codes": "table", "set": [], **solver})
        if name == "removed":  # an option of earlier versions
            whole["provenance"]["recipe"].update(alpha=0.5, rotate=False)
        if name == "texts":
            del whole["provenance"]["recipe"]
        if name == "self":
            whole["provenance"]["tuned"] = [0]
        text = json.dumps(whole, separators=(",", ":")).encode()
        head = at + len(text) + tokenizer
        begin = head + -head % 64
        moved = bytearray(records)
        for i in range(n):
            offset = struct.unpack_from("<Q", moved, 64 * i + 32)[0] - data + begin
            struct.pack_into("<Q", moved, 64 * i + 32, offset)
        out = bytearray(file[:64]) + moved + text + file[at + meta:at + meta + tokenizer] + bytes(begin - head) + file[data:]
        struct.pack_into("<QQQQ", out, 32, len(out), len(text), tokenizer, begin)
        write("nbl", name, bytes(out))


def split():
    """toy.nbl in two and in three parts, each with its size before it; the target makes the checksums right."""
    file = read(HERE, "corpus", "nbl", "toy.nbl")
    n = struct.unpack_from("<I", file, 12)[0]
    offsets = [struct.unpack_from("<Q", file, 64 + 64 * i + 32)[0] for i in range(n)]

    def parts(cuts, name, number=lambda i: i + 1):
        ends = cuts[1:] + [len(file)]
        out = b""
        for i, (begin, end) in enumerate(zip(cuts, ends)):
            head = b"\x89NBS\r\n\x1a\n" + struct.pack("<IHH16sQQQQ", 1, number(i), len(cuts), bytes(16), len(file),
                                                         begin, end - begin, 0)
            out += struct.pack("<I", len(head) + end - begin) + head + file[begin:end]
        write("split", name, out)

    parts([0, offsets[5]], "two")
    parts([0, offsets[0], offsets[-2]], "three")
    parts([0, offsets[5] + 64], "within_a_tensor")
    parts([0, offsets[5]], "swapped", lambda i: 2 - i)


def other_tools():
    """How other tools say that they packed the weights: what is not read."""
    for name, q in (("bitsandbytes", {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}),
                    ("fp8", {"quant_method": "fp8"}), ("marlin", {"quant_method": "gptq", "is_marlin_format": True}),
                    ("whole_rows", {"quant_method": "gptq", "group_size": -1, "format": "gptq_v2"}),
                    ("gemv", {"quant_method": "awq", "version": "gemv"}),
                    ("floats", {"quant_method": "compressed-tensors", "format": "float-quantized"}),
                    ("sparse", {"quant_method": "compressed-tensors", "format": "pack-quantized",
                                "sparsity_config": {"format": "sparse-24"}}),
                    ("transforms", {"quant_method": "compressed-tensors", "format": "pack-quantized",
                                    "transform_config": {"config_groups": {"a": {}}}}),
                    ("float_group", {"quant_method": "compressed-tensors", "format": "pack-quantized",
                                     "config_groups": {"a": {"weights": {"type": "float", "num_bits": 8}}}}),
                    ("mlx_mode", {"bits": 4, "group_size": 64, "mode": "mxfp4"}),
                    ("mlx_module", {"bits": 4, "group_size": 64, "a": {"mode": "mxfp4"}}), ("nobody", {"x": 1})):
        write("hf_config", "packed_" + name, json.dumps({"quantization_config": q}).encode())
    ranks = [b"%s %d\n" % (base64.b64encode(bytes([i])), i) for i in range(256)]
    config, weights = tiny("LlamaForCausalLM", "llama")
    for name, lines in (("few", ranks[:100]), ("none", [b"\n"]), ("gap", ranks[:9] + ranks[10:])):
        folder("ranks_" + name, {"config.json": config, "model.safetensors": weights,
                                 "cl100k_base.tiktoken": b"".join(lines), "tokenizer_config.json": {}})


# ---- templates that end in a refusal, or print what few print ----

REFUSED = r"""{% for i in range(9999) %}{% for k in range(9999) %}{% endfor %}{% endfor %}
{{ 'x' * 1000000000 }}
{{ [1] * 1000000000 }}
{% for i in [1] %}{{ 1 if loop else 2 }}{{ loop|length }}{% endfor %}
{{ [1, 2] < [1] }}{{ [1] < [1] }}{{ [1] < [1, 2] }}
{{ {[1]: 2} }}
{{ {'a': 1}[[]] }}
{{ (1).real }}
{{ 'a b c'.rsplit(none, 1) }}
{{ 'a'.nobody() }}
{{ [1, 2].copy() }}
{{ {'a': 1}.copy() }}
{{ [1].nobody() }}
{{ range(10000000) }}
{{ strftime_now('%Q') }}
{{ strftime_now('LONG') }}
{{ nobody() }}
{{ 'abc def'|truncate(1) }}
{{ 1|indent }}
{{ '1'|int(0, 99) }}
{{ 'x'|round }}
{{ 1|round(99) }}
{{ 1|tojson(separators=[1]) }}
{{ [1]|map(attribute=[])|list }}
{{ ['a']|sum }}
{{ [1]|batch('x')|list }}
{{ 1|items }}
{% set ns = namespace(a=[]) %}{% for i in range(999) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a }}
{% set ns = namespace(a=[]) %}{% for i in range(999) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a|tojson }}
{{ '%99999d' % 1 }}
{{ '%d' % 1e300 }}
{{ '%x' % 1.5 }}
{{ '%c' % 'ab' }}
{{ '%c' % [] }}
{{ '%5' % 1 }}
{{ 'a' % 1 }}
{{ '%s%%' % ('a',) }}
{{ ('a'|safe) + '<b>' }}
{{ ('a'|safe) ~ '<b>' }}
{{ 1.5 - 1 }}{{ 2.5 * 2 }}{{ 1 - 0.5 }}
{{ '\x4' }}
{{ '\u12' }}
{% set loop.x = 1 %}
{% set ns = namespace() %}{% set ns.keys = 1 %}{{ ns.keys }}
{% set x = 1 %}{% set x.y = 1 %}
{{ 'LONG' * 90000 }}{{ 'LONG' * 90000 }}{{ 'LONG' * 90000 }}
{% set ns = namespace(a='LONG') %}{% for i in range(30) %}{% set ns.a = ns.a + ns.a %}{% endfor %}
{{ '%s' % 1|safe }}{{ 'a'|format(1) }}
{{ 'ab'|replace('', 'LONG', 3) }}{{ 'ab'.replace('', '-') }}
{{ [[1, 2], [3]]|sum(start=[]) }}
{{ 'a'|join(1) }}{{ [1, 'a']|sort }}
{{ 1|dictsort }}
{{ true - 1 }}{{ -true }}{{ 7 // 2.0 }}{{ 7 % 0 }}
{{ {'a': [1, {'b': none}]}|pprint }}
{{ [1, 2, 3][::0] }}
{{ '%(a)s' % {'a': 1} }}{{ '%(b)s' % {'a': 1} }}
{{ '%*d' % (5, 1) }}
{{ 'x'.center(99999999) }}
{{ 'é'.encode() }}
{{ cycler(1, 2).next() }}{{ joiner(', ')() }}{{ lipsum() }}""".replace("LONG", "long " * 60).split("\n")


def refused_templates():
    for i in range(0, len(REFUSED), 20):
        write("chat_template", "refused_%d" % (i // 20), "\x1e".join(REFUSED[i:i + 20]).encode())


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
    packed()
    results()
    suites()
    samples()
    requests()
    calibration()
    tokenizers()
    tensors()
    nbl()
    split()
    other_tools()
    refused_templates()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/gguf/archs/: tiny random models of several architectures as transformers saves them, and the GGUF
files that llama.cpp's own converter makes of them (without a vocabulary); and gguf/split/: one of them in parts.

usage: make_gguf_archs.py LLAMA_CPP     its source folder, with convert_hf_to_gguf.py   Needs: torch, transformers, gguf
"""
import json, os, shutil, sys, tempfile
from pathlib import Path
import torch
import transformers as tf

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gguf", "archs")
SMALL = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=32, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64, rope_theta=500000.0)
LONG = dict(rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.1, 1.2, 1.3],
            long_factor=[1.5, 2.0, 3.0, 4.0], original_max_position_embeddings=64)
MODELS = {
    "llama": tf.LlamaConfig(**SMALL, rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
    "llama3": tf.LlamaConfig(**SMALL, rope_parameters=LLAMA3, tie_word_embeddings=True),
    "mistral": tf.MistralConfig(**SMALL, head_dim=16, sliding_window=None),
    "qwen2": tf.Qwen2Config(**SMALL),
    "qwen3": tf.Qwen3Config(**SMALL, head_dim=16),
    "gemma": tf.GemmaConfig(**SMALL, head_dim=16),
    "gemma2": tf.Gemma2Config(**SMALL, head_dim=16, sliding_window=16),
    "gemma3": tf.Gemma3TextConfig(**SMALL, head_dim=16, sliding_window=16),
    "phi3": tf.Phi3Config(**SMALL, rope_parameters=LONG, original_max_position_embeddings=64, sliding_window=20),
    "phi2": tf.PhiConfig(**{**SMALL, "num_key_value_heads": 4, "intermediate_size": 128},
                         rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)),
}


def split(gguf, name):
    """A model's file again, by the gguf package in parts of five tensors, behind one with only the keys."""
    out = Path(HERE).parent / "split"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    r = gguf.GGUFReader(Path(HERE, name + ".gguf"))
    w = gguf.GGUFWriter(out / (name + ".gguf"), name, split_max_tensors=5, small_first_shard=True)
    for key, f in r.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            w.add_key_value(key, f.contents(), f.types[0], f.types[-1] if f.types[0] == gguf.GGUFValueType.ARRAY else None)
    for t in r.tensors:
        w.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    sys.path.insert(0, os.path.join(sys.argv[1], "gguf-py"))
    sys.path.insert(0, sys.argv[1])
    import gguf
    from conversion import get_model_class
    from conversion.base import ModelBase
    torch.manual_seed(20)
    shutil.rmtree(HERE, ignore_errors=True)
    for name, config in MODELS.items():
        folder = Path(HERE, name)
        with torch.no_grad():
            model = tf.AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
            for p in model.parameters():  # norms and biases too
                p.copy_((torch.randn_like(p, dtype=torch.float32) * 0.2 + (0.5 if p.dim() == 1 else 0)).bfloat16())
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        # gemma3 asks it for the width of its vocabulary
        (folder / "tokenizer.json").write_text(json.dumps(dict(model=dict(vocab={str(i): i for i in range(32)}), added_tokens=[])))
        hparams = ModelBase.load_hparams(folder, False)
        cls = get_model_class(hparams["architectures"][0])
        cls.set_vocab = lambda self: None
        made = cls(folder, gguf.LlamaFileType.MOSTLY_BF16, Path(HERE, name + ".gguf"))
        made.write()
        (folder / "tokenizer.json").unlink()
    split(gguf, "llama")
    for path, _, files in os.walk(HERE):
        print(path, {f: os.path.getsize(os.path.join(path, f)) for f in sorted(files)})


if __name__ == "__main__":
    main()

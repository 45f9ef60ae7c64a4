# SPDX-License-Identifier: MIT
"""Makes tests/golden/config: config.json of every Phi3ForCausalLM variant in the hub's form (hub.json, by
hand, the fields of the published files with made-up longrope factors) and as transformers saves it
(saved.json), and what transformers computes from either (expected.json).

usage: python tests/golden/make_config_goldens.py        (made with transformers 5)
"""
import json
import math
import os
import shutil
import tempfile

import transformers
from transformers import Phi3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "config")

BASE = dict(architectures=["Phi3ForCausalLM"], model_type="phi3", hidden_act="silu", attention_bias=False,
            attention_dropout=0.0, embd_pdrop=0.0, resid_pdrop=0.0, initializer_range=0.02, rms_norm_eps=1e-5,
            rope_theta=10000.0, rope_scaling=None, tie_word_embeddings=False, use_cache=True, bos_token_id=1,
            eos_token_id=32000, pad_token_id=32000, torch_dtype="bfloat16", transformers_version="4.43.3")
MINI = dict(hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=32,
            num_key_value_heads=32, vocab_size=32064)


def factors(n, top):
    """n growing factors that end at top, with as many digits as the published ones."""
    return [round(math.exp(math.log(top) * (i / (n - 1)) ** 2), 14) for i in range(n)]


def longrope(n, name="longrope"):
    return dict(short_factor=factors(n, 2.5), long_factor=factors(n, 64.2), type=name)


VARIANTS = {
    "phi-3-mini-4k": dict(MINI, max_position_embeddings=4096, original_max_position_embeddings=4096,
                          sliding_window=2047),
    "phi-3-mini-128k": dict(MINI, max_position_embeddings=131072, original_max_position_embeddings=4096,
                            sliding_window=262144, rope_scaling=longrope(48)),
    "phi-3-mini-128k-su": dict(MINI, max_position_embeddings=131072, original_max_position_embeddings=4096,
                               sliding_window=262144, rope_scaling=longrope(48, "su"), torch_dtype="float16"),
    "phi-3-medium-4k": dict(hidden_size=5120, intermediate_size=17920, num_hidden_layers=40,
                            num_attention_heads=40, num_key_value_heads=10, vocab_size=32064,
                            max_position_embeddings=4096, original_max_position_embeddings=4096,
                            sliding_window=2047),
    "phi-4": dict(hidden_size=5120, intermediate_size=17920, num_hidden_layers=40, num_attention_heads=40,
                  num_key_value_heads=10, vocab_size=100352, max_position_embeddings=16384,
                  original_max_position_embeddings=16384, rope_theta=250000, sliding_window=None,
                  bos_token_id=100257, eos_token_id=100265, pad_token_id=100349),
    "phi-4-mini": dict(hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=24,
                       num_key_value_heads=8, vocab_size=200064, max_position_embeddings=131072,
                       original_max_position_embeddings=4096, partial_rotary_factor=0.75, sliding_window=262144,
                       rope_scaling=longrope(48), tie_word_embeddings=True, bos_token_id=199999,
                       eos_token_id=[200020, 199999], pad_token_id=199999),
    "explicit-head-dim": dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4,
                              num_key_value_heads=2, head_dim=32, vocab_size=256, max_position_embeddings=64,
                              original_max_position_embeddings=64, eos_token_id=2, pad_token_id=0,
                              torch_dtype="float32"),
    "attention-factor": dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4,
                             num_key_value_heads=2, vocab_size=256, max_position_embeddings=64,
                             original_max_position_embeddings=32, eos_token_id=2, pad_token_id=0,
                             rope_scaling=dict(longrope(8), attention_factor=1.25)),
    "factor": dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4,
                   num_key_value_heads=2, vocab_size=256, max_position_embeddings=64,
                   original_max_position_embeddings=32, eos_token_id=2, pad_token_id=0,
                   rope_scaling=dict(longrope(8), factor=16.0)),
    "no-stretch": dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4,
                       num_key_value_heads=2, vocab_size=256, max_position_embeddings=32,
                       original_max_position_embeddings=32, eos_token_id=2, pad_token_id=0,
                       rope_scaling=longrope(8)),
}


def expected(config):
    rotary = Phi3RotaryEmbedding(config)
    short, scale = rotary.inv_freq, float(rotary.attention_scaling)
    original = config.max_position_embeddings
    long = short
    if rotary.rope_type == "longrope":
        original = config.rope_parameters["original_max_position_embeddings"]
        long, _ = ROPE_INIT_FUNCTIONS["longrope"](config, None, seq_len=original + 1)
    eos = config.eos_token_id
    return dict(hidden=config.hidden_size, ffn=config.intermediate_size, layers=config.num_hidden_layers,
                heads=config.num_attention_heads, kv_heads=config.num_key_value_heads,
                head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
                rotary_dim=2 * len(short), vocab=config.vocab_size, tie=config.tie_word_embeddings,
                rms_eps=config.rms_norm_eps, max_position=config.max_position_embeddings,
                original_max_position=original, sliding_window=config.sliding_window or 0,
                theta=config.rope_parameters["rope_theta"], longrope=rotary.rope_type == "longrope",
                rope_scale=scale, bos=config.bos_token_id, eos=eos if isinstance(eos, list) else [eos],
                dtype=str(config.dtype).replace("torch.", ""),
                inv_freq_short=[float("%.9g" % v) for v in short.tolist()],
                inv_freq_long=[float("%.9g" % v) for v in long.tolist()])


def write(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


shutil.rmtree(HERE, ignore_errors=True)
for name, fields in VARIANTS.items():
    folder = os.path.join(HERE, name)
    os.makedirs(folder)
    hub = dict(BASE, **fields)
    write(os.path.join(folder, "hub.json"), hub)
    with tempfile.TemporaryDirectory() as tmp:
        # transformers 5 no longer loads the old name of longrope, though it still translates it
        write(os.path.join(tmp, "config.json"), json.loads(json.dumps(hub).replace('"su"', '"longrope"')))
        config = Phi3Config.from_pretrained(tmp)
        want = expected(config)
        config.save_pretrained(tmp)
        assert expected(Phi3Config.from_pretrained(tmp)) == want, name
        shutil.copy(os.path.join(tmp, "config.json"), os.path.join(folder, "saved.json"))
    write(os.path.join(folder, "expected.json"), want)
print("made with transformers", transformers.__version__)

# SPDX-License-Identifier: MIT
"""Makes tests/golden/config: config.json of every Phi3ForCausalLM variant, and of one model of each other
architecture, in the hub's form (hub.json, by hand, the fields of the published files with made-up longrope
factors) and as transformers saves it (saved.json), and what transformers computes from either (expected.json).

usage: python tests/golden/make_config_goldens.py [NAME...]       (made with transformers 5)
"""
import json
import math
import os
import sys
import tempfile

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, Phi3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding
import phi3small_twin

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


HUB = dict(attention_dropout=0.0, initializer_range=0.02, torch_dtype="bfloat16", use_cache=True)
LLAMA = dict(HUB, architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", rms_norm_eps=1e-5,
             rope_scaling=None, attention_bias=False, pretraining_tp=1, bos_token_id=1, eos_token_id=2,
             tie_word_embeddings=False)
LLAMA3 = dict(LLAMA, vocab_size=128256, rope_theta=500000.0, mlp_bias=False, bos_token_id=128000)
QWEN = dict(HUB, hidden_act="silu", rms_norm_eps=1e-6, bos_token_id=151643, eos_token_id=151645, vocab_size=151936,
            use_sliding_window=False, tie_word_embeddings=True)
GEMMA = dict(HUB, attention_bias=False, pad_token_id=0, bos_token_id=2, eos_token_id=1, rms_norm_eps=1e-6,
             head_dim=256, rope_theta=10000.0, vocab_size=256000)


def llama3_rope(factor):
    return dict(factor=factor, high_freq_factor=4.0, low_freq_factor=1.0, original_max_position_embeddings=8192,
                rope_type="llama3")


# Facts of published files; those that ../shared/data/tokenizers holds were compared with it.
ARCHITECTURES = {
    "llama-2-7b": dict(LLAMA, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32,
                       num_key_value_heads=32, vocab_size=32000, max_position_embeddings=4096, torch_dtype="float16"),
    "llama-3-8b": dict(LLAMA3, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                       num_key_value_heads=8, max_position_embeddings=8192, eos_token_id=128001),
    "llama-3.1-8b": dict(LLAMA3, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
                         num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=131072,
                         rope_scaling=llama3_rope(8.0), eos_token_id=[128001, 128008, 128009]),
    "llama-3.2-1b": dict(LLAMA3, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
                         num_key_value_heads=8, head_dim=64, max_position_embeddings=131072,
                         rope_scaling=llama3_rope(32.0), tie_word_embeddings=True, eos_token_id=128001),
    "tinyllama-1.1b": dict(LLAMA, hidden_size=2048, intermediate_size=5632, num_hidden_layers=22,
                           num_attention_heads=32, num_key_value_heads=4, vocab_size=32000,
                           max_position_embeddings=2048, rope_theta=10000.0),
    "smollm2-135m": dict(LLAMA, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                         num_key_value_heads=3, vocab_size=49152, max_position_embeddings=8192, rope_theta=100000,
                         tie_word_embeddings=True),
    "mistral-7b-v0.1": dict(HUB, architectures=["MistralForCausalLM"], model_type="mistral", hidden_act="silu",
                            hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                            num_key_value_heads=8, vocab_size=32000, max_position_embeddings=32768, rms_norm_eps=1e-5,
                            rope_theta=10000.0, sliding_window=4096, bos_token_id=1, eos_token_id=2,
                            tie_word_embeddings=False),
    "mixtral-8x7b": dict(HUB, architectures=["MixtralForCausalLM"], model_type="mixtral", hidden_act="silu",
                         hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                         num_key_value_heads=8, num_local_experts=8, num_experts_per_tok=2, vocab_size=32000,
                         max_position_embeddings=32768, rms_norm_eps=1e-5, rope_theta=1000000.0, sliding_window=None,
                         output_router_logits=False, router_aux_loss_coef=0.02, bos_token_id=1, eos_token_id=2,
                         tie_word_embeddings=False),
    "qwen2.5-0.5b": dict(QWEN, architectures=["Qwen2ForCausalLM"], model_type="qwen2", hidden_size=896,
                         intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2,
                         max_position_embeddings=32768, max_window_layers=21, rope_theta=1000000.0,
                         sliding_window=32768),
    "qwen2.5-7b-yarn": dict(QWEN, architectures=["Qwen2ForCausalLM"], model_type="qwen2", hidden_size=3584,
                            intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28,
                            num_key_value_heads=4, vocab_size=152064, max_position_embeddings=32768,
                            max_window_layers=28, rope_theta=1000000.0, sliding_window=131072,
                            tie_word_embeddings=False,
                            rope_scaling=dict(factor=4.0, original_max_position_embeddings=32768, type="yarn")),
    "qwen3-1.7b": dict(QWEN, architectures=["Qwen3ForCausalLM"], model_type="qwen3", attention_bias=False,
                       hidden_size=2048, intermediate_size=6144, num_hidden_layers=28, num_attention_heads=16,
                       num_key_value_heads=8, head_dim=128, max_position_embeddings=40960, max_window_layers=28,
                       rope_scaling=None, rope_theta=1000000, sliding_window=None),
    "gemma-7b": dict(GEMMA, architectures=["GemmaForCausalLM"], model_type="gemma", hidden_act="gelu",
                     hidden_activation=None, hidden_size=3072, intermediate_size=24576, num_hidden_layers=28,
                     num_attention_heads=16, num_key_value_heads=16, max_position_embeddings=8192, rope_scaling=None),
    "gemma-2-9b": dict(GEMMA, architectures=["Gemma2ForCausalLM"], model_type="gemma2", attn_logit_softcapping=50.0,
                       final_logit_softcapping=30.0, cache_implementation="hybrid", hidden_act="gelu_pytorch_tanh",
                       hidden_activation="gelu_pytorch_tanh", hidden_size=3584, intermediate_size=14336,
                       num_hidden_layers=42, num_attention_heads=16, num_key_value_heads=8,
                       query_pre_attn_scalar=256, sliding_window=4096, sliding_window_size=4096,
                       max_position_embeddings=8192),
    "gemma-3-1b": dict(GEMMA, architectures=["Gemma3ForCausalLM"], model_type="gemma3_text",
                       attn_logit_softcapping=None, final_logit_softcapping=None, cache_implementation="hybrid",
                       hidden_activation="gelu_pytorch_tanh", hidden_size=1152, intermediate_size=6912,
                       num_hidden_layers=26, num_attention_heads=4, num_key_value_heads=1, query_pre_attn_scalar=256,
                       sliding_window=512, sliding_window_pattern=6, rope_local_base_freq=10000, rope_theta=1000000,
                       rope_scaling=None, vocab_size=262144, max_position_embeddings=32768, eos_token_id=[1, 106]),
    "phi-2": dict(HUB, architectures=["PhiForCausalLM"], model_type="phi", hidden_act="gelu_new", hidden_size=2560,
                  intermediate_size=10240, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32,
                  vocab_size=51200, max_position_embeddings=2048, layer_norm_eps=1e-5, partial_rotary_factor=0.4,
                  qk_layernorm=False, embd_pdrop=0.0, resid_pdrop=0.1, rope_scaling=None, rope_theta=10000.0,
                  bos_token_id=50256, eos_token_id=50256, tie_word_embeddings=False, torch_dtype="float16"),
    "phi-3.5-moe": dict(HUB, architectures=["PhiMoEForCausalLM"], model_type="phimoe", hidden_act="silu",
                        attention_bias=True, lm_head_bias=True, hidden_size=4096, intermediate_size=6400,
                        num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, num_local_experts=16,
                        num_experts_per_tok=2, vocab_size=32064, max_position_embeddings=131072,
                        original_max_position_embeddings=4096, rms_norm_eps=1e-5, rope_theta=10000.0,
                        sliding_window=131072, input_jitter_noise=0.01, router_jitter_noise=0.01,
                        output_router_logits=False, router_aux_loss_coef=0.0, bos_token_id=1, eos_token_id=32000,
                        tie_word_embeddings=False,
                        rope_scaling=dict(longrope(64), short_mscale=1.243163121016122, long_mscale=1.243163121016122,
                                          original_max_position_embeddings=4096)),
    "starcoder2-3b": dict(HUB, architectures=["Starcoder2ForCausalLM"], model_type="starcoder2", attention_dropout=0.1,
                          residual_dropout=0.1, embedding_dropout=0.1, hidden_act="gelu_pytorch_tanh",
                          hidden_size=3072, intermediate_size=12288, num_hidden_layers=30, num_attention_heads=24,
                          num_key_value_heads=2, vocab_size=49152, max_position_embeddings=16384, norm_epsilon=1e-5,
                          norm_type="layer_norm", mlp_type="default", rope_theta=999999.4420358813,
                          sliding_window=4096, use_bias=True, bos_token_id=0, eos_token_id=0),
    "phi-3-small-8k": dict(
        HUB, architectures=["Phi3SmallForCausalLM"], model_type="phi3small", attention_bias=False,
        hidden_act="gegelu", hidden_size=4096, ff_intermediate_size=14336, num_hidden_layers=32,
        num_attention_heads=32, num_key_value_heads=8, vocab_size=100352, max_position_embeddings=8192,
        rope_embedding_base=1000000, rope_position_scale=1.0, rope_scaling=None, gegelu_limit=20.0,
        gegelu_pad_to_256=True, ff_dim_multiplier=None, blocksparse_homo_head_pattern=False,
        blocksparse_block_size=64, blocksparse_num_local_blocks=16, blocksparse_vert_stride=8,
        blocksparse_triton_kernel_block_size=64, dense_attention_every_n_layers=2, embedding_dropout_prob=0.1,
        attention_dropout_prob=0.0, ffn_dropout_prob=0.1, layer_norm_epsilon=1e-5, mup_use_scaling=True,
        mup_width_multiplier=8.0, mup_embedding_multiplier=10.0, mup_attn_multiplier=1.0,
        pad_sequence_to_multiple_of_64=True, bos_token_id=100257, eos_token_id=100257),
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


def digits(values):
    return [float("%.9g" % v) for v in values.tolist()]


def windows(config):
    """The window of each layer, 0 for none."""
    w = getattr(config, "sliding_window", None) or 0
    types = getattr(config, "layer_types", None) or ["sliding_attention"] * config.num_hidden_layers
    return [w if t == "sliding_attention" else 0 for t in types]


def expected_of_architecture(config):
    """What transformers' model of the config is. rotary: one entry for all layers, or the global and the local one.
    biases and norms: the modules of layer 0 and of the head that have them. scale: of the attention's scores."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    parameters = {n.replace("model.layers.0.", ""): p for n, p in model.named_parameters()
                  if ".layers." not in n or ".layers.0." in n}
    rotary = type(model.model.rotary_emb)(config)
    kinds = ["full_attention_", "sliding_attention_"] if isinstance(rotary.rope_type, dict) else [""]
    ropes = []
    for kind in kinds:
        p = config.rope_parameters[kind[:-1]] if kind else config.rope_parameters
        ropes.append(dict(type=p["rope_type"], theta=p["rope_theta"],
                          scale=float(getattr(rotary, kind + "attention_scaling")),
                          inv_freq=digits(getattr(rotary, kind + "inv_freq"))))
        if p["rope_type"] == "longrope":
            n = p["original_max_position_embeddings"]
            ropes[-1].update(original_max_position=n, mscale=[p["short_mscale"], p["long_mscale"]],
                             inv_freq_long=digits(ROPE_INIT_FUNCTIONS["longrope"](config, None, seq_len=n + 1)[0]))
    attention, eos = model.model.layers[0].self_attn, config.eos_token_id
    has = lambda end: sorted(n.rsplit(".", 1)[0] for n in parameters if n.endswith(end))
    return dict(
        model_type=config.model_type, hidden=config.hidden_size, ffn=config.intermediate_size,
        layers=config.num_hidden_layers, heads=config.num_attention_heads, kv_heads=config.num_key_value_heads,
        head_dim=attention.head_dim, rotary_dim=2 * len(ropes[0]["inv_freq"]), vocab=config.vocab_size,
        tie=config.tie_word_embeddings,
        eps=next(getattr(config, k) for k in ("rms_norm_eps", "layer_norm_eps", "norm_epsilon") if hasattr(config, k)),
        act=getattr(config, "hidden_act", None) or config.hidden_activation,
        max_position=config.max_position_embeddings, windows=windows(config), scale=attention.scaling,
        attention_cap=(getattr(config, "attn_logit_softcapping", None) or 0) * (config.model_type == "gemma2"),
        logit_cap=getattr(config, "final_logit_softcapping", None) or 0,
        embedding_scale=getattr(model.model.embed_tokens, "scalar_embed_scale", 1.0),
        experts=getattr(config, "num_local_experts", 0), experts_per_token=getattr(config, "num_experts_per_tok", 0),
        biases=has(".bias"), norms=[n for n in has("weight") if "norm" in n], rotary=ropes, bos=config.bos_token_id,
        eos=eos if isinstance(eos, list) else [eos], dtype=str(config.dtype).replace("torch.", ""),
        parameters=sum(p.numel() for p in model.parameters()))


def expected_of_phi3small(c):
    """The same by phi3small_twin.py; dense: the layers without blocks; masked: how many ids never come."""
    freq, scale = phi3small_twin.frequencies(c, 1)
    with torch.device("meta"):
        twin = phi3small_twin.Phi3SmallTwin(c)
    hd = c["hidden_size"] // c["num_attention_heads"]
    return dict(
        model_type=c["model_type"], hidden=c["hidden_size"], ffn=c["ff_intermediate_size"],
        layers=c["num_hidden_layers"], heads=c["num_attention_heads"], kv_heads=c["num_key_value_heads"], head_dim=hd,
        rotary_dim=hd, vocab=c["vocab_size"], tie=True, eps=c["layer_norm_epsilon"], act=c["hidden_act"],
        max_position=c["max_position_embeddings"], windows=[0] * c["num_hidden_layers"],
        scale=c["mup_attn_multiplier"] / hd, embedding_scale=c["mup_embedding_multiplier"],
        logit_scale=1 / c["mup_width_multiplier"], masked=len(phi3small_twin.DUMMY),
        dense=[l for l, x in enumerate(twin.model.layers) if x.self_attn.dense_layer],
        blocks=[c["blocksparse_" + k] for k in ("block_size", "num_local_blocks", "vert_stride")],
        rotary=[dict(type="default", theta=c["rope_embedding_base"], scale=scale,
                     inv_freq=digits(freq))],
        bos=c["bos_token_id"], eos=[c["eos_token_id"]], dtype=c["torch_dtype"],
        parameters=sum(p.numel() for p in twin.parameters()))


def write(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def load(folder, architecture):
    """What is expected of the config.json in folder, and the config."""
    config = (AutoConfig if architecture else Phi3Config).from_pretrained(folder)
    return (expected_of_architecture if architecture else expected)(config), config


def make(name, hub, architecture):
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    write(os.path.join(folder, "hub.json"), hub)
    if hub["model_type"] == "phi3small":
        write(os.path.join(folder, "expected.json"), expected_of_phi3small(hub))
        return
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "config.json")
        # transformers 5 no longer loads the old name of longrope, though it still translates it
        write(path, json.loads(json.dumps(hub).replace('"su"', '"longrope"')))
        want, config = load(tmp, architecture)
        config.save_pretrained(tmp)
        assert load(tmp, architecture)[0] == want, name
        with open(path) as f, open(os.path.join(folder, "saved.json"), "w") as g:
            g.write(f.read())
    write(os.path.join(folder, "expected.json"), want)


def main():
    transformers.logging.set_verbosity_error()
    all = {**{n: (dict(BASE, **c), False) for n, c in VARIANTS.items()},
           **{n: (c, True) for n, c in ARCHITECTURES.items()}}
    for name in sys.argv[1:] or all:
        make(name, *all[name])
    print("made with transformers", transformers.__version__)


if __name__ == "__main__":
    main()

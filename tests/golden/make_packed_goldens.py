#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/golden/packed/: a tiny random Llama, packed by the code of AutoGPTQ, AutoAWQ, compressed-tensors and MLX,
and beside each KIND/ the same matrices dequantized by that code (KIND.safetensors).

usage: make_packed_goldens.py    Needs: torch, transformers, safetensors; auto-gptq 0.7.1, autoawq 0.2.9 (pip install
--no-deps, BUILD_CUDA_EXT=0), compressed-tensors, mlx with mlx-cpu
AutoGPTQ and AutoAWQ no longer import beside a present transformers: single files of them are loaded."""
import functools
import importlib.util
import json
import os
import shutil
import sys
import types

import numpy as np
import torch
from safetensors.torch import save_file

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "packed")
D, F, V = 32, 64, 32
CONFIG = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=D, intermediate_size=F,
              num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=4, vocab_size=V, rms_norm_eps=1e-5,
              max_position_embeddings=128, bos_token_id=1, eos_token_id=2, hidden_act="silu", rope_theta=10000.0,
              tie_word_embeddings=False)
LAYER = "model.layers.0."
LINEARS = {**{LAYER + f"self_attn.{x}_proj": (D, D) for x in "qkvo"},
           **{LAYER + f"mlp.{x}_proj": (F, D) for x in ("gate", "up")}, LAYER + "mlp.down_proj": (D, F)}


@functools.cache
def load(package, path):
    """One file of an installed package, without the package's own imports."""
    name = package + "." + path[:-3].replace("/", ".")
    root = importlib.util.find_spec(package).submodule_search_locations[0]
    parts = name.split(".")
    for i in range(1, len(parts)):
        stub = types.ModuleType(".".join(parts[:i]))
        stub.__path__ = [os.path.join(root, *parts[1:i])]
        sys.modules.setdefault(stub.__name__, stub)
    spec = importlib.util.spec_from_file_location(name, os.path.join(root, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rest(dtype, quantized_ends=False):
    out = {"model.norm.weight": torch.randn(D) * 0.1 + 1}
    if not quantized_ends:
        out["model.embed_tokens.weight"] = torch.randn(V, D)
        out["lm_head.weight"] = torch.randn(V, D) * 0.2
    for x in ("input", "post_attention"):
        out[LAYER + f"{x}_layernorm.weight"] = torch.randn(D) * 0.1 + 1
    return {k: v.to(dtype) for k, v in out.items()}


def write(kind, config, packed, dense, dtype, quantized_ends=False):
    folder = os.path.join(HERE, kind)
    os.makedirs(folder)
    other = rest(dtype, quantized_ends)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({**CONFIG, "dtype": str(dtype)[6:], **config}, f)
    save_file({k: v.contiguous() for k, v in {**other, **packed}.items()}, os.path.join(folder, "model.safetensors"),
              metadata={"format": "pt"})
    save_file({k: v.contiguous() for k, v in dense.items()}, os.path.join(HERE, kind + ".safetensors"),
              metadata={"format": "pt"})


def numbers(N, groups, bits, sym, low=0):
    """Scales (N, groups) and zero points."""
    scales = (torch.rand(N, groups) * 0.9 + 0.1) * 2.0 ** (-bits)
    zeros = torch.full((N, groups), 2 ** (bits - 1)) if sym else torch.randint(low, 2 ** bits, (N, groups))
    return scales, zeros


def gptq(kind, bits, group, sym=False, act=False, v2=False, bias=False, dtype=torch.float16):
    Linear = load("auto_gptq", "nn_modules/qlinear/qlinear_cuda.py").QuantLinear
    packed, dense = {}, {}
    for name, (N, K) in LINEARS.items():
        width = K if group == -1 else group
        g_idx = torch.arange(K) // width
        if act:
            g_idx = g_idx[torch.randperm(K)]
        scales, zeros = numbers(N, K // width, bits, sym, low=1)  # a stored 2^bits - 1 means 0 in some versions only
        codes = torch.randint(0, 2 ** bits, (N, K))
        x = Linear(bits, group, K, N, bias=False, weight_dtype=dtype)
        x.g_idx = g_idx.int()
        linear = torch.nn.Linear(K, N, bias=False)
        s = scales.to(dtype).float()
        linear.weight.data = s[:, g_idx] * (codes - zeros[:, g_idx])
        x.pack(linear, s.clone(), zeros.float(), x.g_idx)
        x.scales = s.t().contiguous().to(dtype)
        dense[name + ".weight"] = x(torch.eye(K, dtype=dtype)).t()
        back = torch.round(dense[name + ".weight"].float() / s[:, g_idx]) + zeros[:, g_idx]
        assert (back == codes).all(), name
        parts = dict(qweight=x.qweight, qzeros=x.qzeros, scales=x.scales, g_idx=x.g_idx)
        if v2:  # as GPTQModel's convert_gptq_v1_to_v2_format_module: every zero point 1 more
            ones = sum(1 << (bits * i) for i in range(32 // bits))
            parts["qzeros"] = torch.from_numpy((x.qzeros.numpy().view(np.uint32) + np.uint32(ones)).view(np.int32))
        if bias:
            parts["bias"] = torch.zeros(N, dtype=dtype)  # as AutoGPTQ saves models without any
        packed.update({f"{name}.{k}": v for k, v in parts.items()})
    quant = dict(quant_method="gptq", bits=bits, group_size=group, desc_act=act, sym=sym,
                 checkpoint_format="gptq_v2" if v2 else "gptq")
    write(kind, dict(quantization_config=quant), packed, dense, dtype)


def awq(kind, group):
    utils = load("awq", "utils/packing_utils.py")
    packed, dense = {}, {}
    order = [0, 2, 4, 6, 1, 3, 5, 7]  # WQLinear_GEMM.from_linear's order_map
    def pack(codes):  # (rows, N) as from_linear packs them
        words = np.zeros((codes.shape[0], codes.shape[1] // 8), np.uint32)
        for i in range(8):
            words |= codes.numpy().astype(np.uint32)[:, order[i]::8] << np.uint32(4 * i)
        return torch.from_numpy(words.view(np.int32))
    for name, (N, K) in LINEARS.items():
        scales, zeros = numbers(N, K // group, 4, False)
        parts = dict(qweight=pack(torch.randint(0, 16, (K, N))), qzeros=pack(zeros.t()), scales=scales.t().half())
        dense[name + ".weight"] = utils.dequantize_gemm(parts["qweight"], parts["qzeros"], parts["scales"], 4, group).t()
        packed.update({f"{name}.{k}": v for k, v in parts.items()})
    quant = dict(quant_method="awq", bits=4, group_size=group, version="gemm", zero_point=True)
    write(kind, dict(quantization_config=quant), packed, dense, torch.float16)


def compressed(kind, format, bits, strategy, group, sym, dtype=torch.bfloat16):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationScheme
    args = dict(num_bits=bits, type="int", strategy=strategy, group_size=group, symmetric=sym)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    tool = BaseCompressor.get_value_from_registry(format)
    packed, dense = {}, {}
    for name, (N, K) in LINEARS.items():
        groups = K // group if group else 1
        scale = ((torch.rand(N, groups) * 0.9 + 0.1) * 2.0 ** (-bits)).to(dtype)
        state = dict(weight=torch.randn(N, K, dtype=torch.float32).to(dtype) * 0.3, weight_scale=scale)
        if not sym:
            half = 2 ** (bits - 1)
            state["weight_zero_point"] = torch.randint(-half, half, (N, groups), dtype=torch.int8)
        parts = tool.compress(state, scheme)
        dense[name + ".weight"] = tool.decompress(dict(parts), scheme)["weight"].to(dtype)
        packed.update({f"{name}.{k}": v for k, v in parts.items()})
    quant = dict(quant_method="compressed-tensors", format=format, quantization_status="compressed", ignore=["lm_head"],
                 config_groups=dict(group_0=dict(targets=["Linear"], weights=args)))
    write(kind, dict(quantization_config=quant), packed, dense, dtype)


def mlx(kind, bits, group, dtype, own=None):
    import mlx.core as mx
    mx.set_default_device(mx.cpu)
    packed, dense = {}, {}
    kinds = {torch.float16: mx.float16, torch.bfloat16: mx.bfloat16}
    back = lambda x: torch.from_numpy(np.array(x.astype(mx.float32))).to(dtype)
    quant = dict(group_size=group, bits=bits)
    for name, (N, K) in {**LINEARS, "model.embed_tokens": (V, D), "lm_head": (V, D)}.items():
        b, g = own if own and name == "lm_head" else (bits, group)
        if own and name == "lm_head":
            quant[name] = dict(group_size=g, bits=b)
        w = mx.array((torch.randn(N, K) * 0.2).numpy()).astype(kinds[dtype])
        q, s, z = mx.quantize(w, group_size=g, bits=b)
        dense[name + ".weight"] = back(mx.dequantize(q, s, z, group_size=g, bits=b))
        packed[name + ".weight"] = torch.from_numpy(np.array(q).view(np.uint32)).view(torch.uint32)
        packed[name + ".scales"], packed[name + ".biases"] = back(s), back(z)
    write(kind, dict(quantization=quant, quantization_config=quant), packed, dense, dtype, True)


def main():
    torch.manual_seed(20)
    shutil.rmtree(HERE, ignore_errors=True)
    gptq("gptq4_sym", 4, 32, sym=True, bias=True)
    gptq("gptq4_act", 4, 16, act=True)
    gptq("gptq4_v2", 4, -1, v2=True)
    gptq("gptq3", 3, 32)
    gptq("gptq2", 2, 32, act=True)
    gptq("gptq8", 8, 32)
    awq("awq4", 16)
    compressed("ct4_group", "pack-quantized", 4, "group", 16, True)
    compressed("ct4_zeros", "pack-quantized", 4, "group", 32, False)
    compressed("ct8_channel", "pack-quantized", 8, "channel", None, True, torch.float16)
    compressed("ct3_channel", "pack-quantized", 3, "channel", None, False)
    compressed("ct_int8", "int-quantized", 8, "channel", None, True)
    compressed("ct_int8_zeros", "int-quantized", 8, "channel", None, False)
    mlx("mlx4", 4, 32, torch.bfloat16, own=(8, 32))
    for bits in (2, 3, 6):
        mlx(f"mlx{bits}", bits, 32, torch.float16)
    for name in sorted(os.listdir(HERE)):
        print(name, os.path.getsize(os.path.join(HERE, name)))


if __name__ == "__main__":
    main()

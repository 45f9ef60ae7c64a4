# SPDX-License-Identifier: MIT
"""Phi3SmallForCausalLM in plain PyTorch, without transformers, a GPU or a cache: the truth for model/phi3small*.

Microsoft's own code runs only with Triton and flash-attention kernels. This twin computes the same function by dense
matrices and a mask; names of tensors and config keys are the hub's. What it computes is described in README.md.
"""
import math
import torch
from torch import nn

# The tokenizer's unused ids, which the model masks. A config may name others ("dummy_token_indices").
DUMMY = [100256, *range(100258, 100261), 100264, 100265, *range(100267, 100352)]


def block_mask(c, n):
    """(heads, n, n), true where a query (row) sees a key."""
    heads, block, local = c["num_attention_heads"], c["blocksparse_block_size"], c["blocksparse_num_local_blocks"]
    stride = c["blocksparse_vert_stride"]
    step = 0 if c.get("blocksparse_homo_head_pattern") else max(1, stride // heads)
    t = torch.arange(n)
    q, k, h = (t // block)[None, :, None], (t // block)[None, None, :], torch.arange(heads)[:, None, None]
    return ((q - k < local) | ((k + h * step + 1) % stride == 0)) & (t[None, :, None] >= t[None, None, :])


def frequencies(c, n):
    """(head_dim / 2,), and the factor of cosine and sine: longrope by the length of the whole sequence, as Phi-3's."""
    hd = c["hidden_size"] // c["num_attention_heads"]
    freq, scale = 1.0 / c["rope_embedding_base"] ** (torch.arange(0, hd, 2).float() / hd), 1.0
    s = c.get("rope_scaling")
    if s:
        side = "long" if n > s["original_max_position_embeddings"] else "short"
        freq, scale = freq / torch.tensor(s[side + "_factor"]), s[side + "_mscale"]
    return freq, scale


def rotary(c, n):
    """Cosines and sines (n, head_dim / 2)."""
    freq, scale = frequencies(c, n)
    a = torch.arange(n).float()[:, None] * freq
    return a.cos() * scale, a.sin() * scale


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def gegelu(x, limit):
    """Even components are the gate, odd ones the linear part."""
    g, l = x[..., ::2].clamp(max=limit), x[..., 1::2].clamp(-limit, limit)
    return g * torch.sigmoid(1.702 * g) * (l + 1)


class Attention(nn.Module):
    def __init__(self, c, layer):
        super().__init__()
        d, self.heads, self.groups = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"]
        self.c, self.hd = c, d // self.heads
        every = c["dense_attention_every_n_layers"]
        self.dense_layer = bool(every) and (layer + 1) % every == 0
        self.query_key_value = nn.Linear(d, (self.heads + 2 * self.groups) * self.hd)
        self.dense = nn.Linear(d, d)

    def forward(self, x, cos, sin):
        n, per = len(x), self.heads // self.groups
        y = self.query_key_value(x).view(n, self.groups, per + 2, self.hd)  # rows by group: its queries, its k, its v
        q = y[:, :, :per].reshape(n, self.heads, self.hd).transpose(0, 1)
        k, v = (y[:, :, per + i].repeat_interleave(per, 1).transpose(0, 1) for i in (0, 1))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        mup = self.c["mup_use_scaling"]
        scores = q @ k.transpose(1, 2) * (self.c["mup_attn_multiplier"] / self.hd if mup else self.hd ** -0.5)
        mask = torch.ones(n, n).tril().bool() if self.dense_layer else block_mask(self.c, n)
        p = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        return self.dense((p @ v).transpose(0, 1).reshape(n, -1))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.limit = c["gegelu_limit"]
        self.up_proj = nn.Linear(c["hidden_size"], 2 * c["ff_intermediate_size"])
        self.down_proj = nn.Linear(c["ff_intermediate_size"], c["hidden_size"])

    def forward(self, x):
        return self.down_proj(gegelu(self.up_proj(x), self.limit))


class Layer(nn.Module):
    def __init__(self, c, layer):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(c["hidden_size"], eps=c["layer_norm_epsilon"])
        self.self_attn = Attention(c, layer)
        self.post_attention_layernorm = nn.LayerNorm(c["hidden_size"], eps=c["layer_norm_epsilon"])
        self.mlp = MLP(c)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Layer(c, l) for l in range(c["num_hidden_layers"]))
        self.final_layernorm = nn.LayerNorm(c["hidden_size"], eps=c["layer_norm_epsilon"])


class Phi3SmallTwin(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c, self.model = config, Model(config)

    @torch.no_grad()
    def forward(self, ids):
        """Logits (tokens, vocabulary) of a list of token ids."""
        c, m = self.c, self.model
        cos, sin = (t.to(m.embed_tokens.weight.dtype) for t in rotary(c, len(ids)))
        x = m.embed_tokens(torch.tensor(ids)) * (c["mup_embedding_multiplier"] or 1.0)
        for layer in m.layers:
            x = layer(x, cos, sin)
        y = m.final_layernorm(x) @ m.embed_tokens.weight.T / (c["mup_width_multiplier"] or 1.0)
        masked = [i for i in c.get("dummy_token_indices", DUMMY) if i < c["vocab_size"]]
        y[:, masked] = torch.finfo(torch.float32).min
        return y

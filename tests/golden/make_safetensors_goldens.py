# SPDX-License-Identifier: MIT
"""Makes tests/golden/safetensors: one file with every type that is read and some that are not, and the same
readable tensors as two shards with an index, written by the safetensors library.

usage: python tests/golden/make_safetensors_goldens.py
"""
import json
import os

import torch
from safetensors.torch import save_file

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "safetensors")
os.makedirs(os.path.join(HERE, "shards"), exist_ok=True)

# element i of each tensor is i - 2.5, exact in every type
def ramp(shape, dtype):
    n = 1
    for d in shape:
        n *= d
    return (torch.arange(n, dtype=torch.float32) - 2.5).reshape(shape).to(dtype)


readable = {
    "a.f32": ramp([2, 3], torch.float32),
    "b.f16": ramp([7], torch.float16),
    "c.bf16": ramp([1, 2, 2, 2], torch.bfloat16),
    "d.scalar": ramp([], torch.float32),
    "e.empty": ramp([0, 4], torch.float32),
}
other = {
    "f.i64": torch.arange(3),
    "g.bool": torch.tensor([True, False, True]),
    "h.five": ramp([1, 1, 1, 1, 2], torch.float32),
}
save_file({**readable, **other}, os.path.join(HERE, "all.safetensors"), metadata={"format": "pt", "note": "é \" \\"})
names = sorted(readable)
weight_map = {}
for i, part in enumerate((names[:2], names[2:])):
    file = f"model-{i + 1:05}-of-00002.safetensors"
    save_file({k: readable[k] for k in part}, os.path.join(HERE, "shards", file), metadata={"format": "pt"})
    weight_map.update({k: file for k in part})
with open(os.path.join(HERE, "shards", "model.safetensors.index.json"), "w") as f:
    json.dump({"metadata": {"total_size": 78}, "weight_map": weight_map}, f, indent=1)

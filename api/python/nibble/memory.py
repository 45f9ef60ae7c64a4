# SPDX-License-Identifier: MIT
"""The memory of this process."""

from __future__ import annotations

from ._native import ffi, lib
from ._types import Memory


def memory() -> Memory:
    """What this process holds now."""
    out = ffi.new("nibble_memory *")
    lib.nibble_memory_now(out)
    return Memory(out.file, out.anon, out.peak)

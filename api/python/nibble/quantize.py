# SPDX-License-Identifier: MIT
"""A checkpoint as a .nbl file."""

from __future__ import annotations

import os
from typing import Any, Callable, Optional, Union

from ._native import Options, c_string, check, lib, text_of
from ._types import Progress
from ._worker import Callback, ProgressCallback, Worker

Path = Union[str, "os.PathLike[str]"]


def quantize(
    checkpoint: Path,
    out: Path,
    *,
    calib: Optional[Path] = None,
    preset: Optional[str] = None,
    budget: Optional[int] = None,
    linear_bpw: Optional[float] = None,
    bits: Optional[int] = None,
    group: Optional[int] = None,
    tokens: Optional[int] = None,
    seq: Optional[int] = None,
    seed: Optional[int] = None,
    fast: bool = False,
    threads: Optional[int] = None,
    cpu: Optional[str] = None,
    force: bool = False,
    progress: Optional[Progress] = None,
    note: Optional[Callable[[str], None]] = None,
) -> None:
    """Makes the .nbl file `out` of a checkpoint's folder or a .gguf file: the bytes that `nibble quantize` writes.

    The options are fields of nibble_quantize_options in nibble.h. `calib` is a text file, chats (.jsonl), or "self".
    While it works, `progress` gets what is done and how much of it, and `note` what a person should know; both are
    called in the thread that works. Ctrl-C, or a progress that returns False, stops the run: a calibrated one goes on
    from there when it is called again.
    """
    on_progress = ProgressCallback(progress)

    def take_note(ctx: Any, text: Any) -> None:
        if note:
            note(text_of(text))

    on_note = Callback("void(void *, const char *)", take_note)
    o = Options(
        "nibble_quantize_options",
        calib=calib, tokens=tokens, seq=seq, seed=seed, fast=fast, preset=preset, budget=budget, linear_bpw=linear_bpw,
        bits=bits, group=group, threads=threads, cpu=cpu, force=force, progress=on_progress.pointer,
        note=on_note.pointer,
    )  # fmt: skip
    source, target = c_string(checkpoint), c_string(out)
    worker = Worker(on_progress.stop)
    try:
        worker.call(lambda: check(lambda err: int(lib.nibble_quantize(source, target, o.pointer, err))))
    except Exception:
        on_progress.reraise()
        raise
    finally:
        worker.close()
    on_progress.reraise()
    on_note.reraise()

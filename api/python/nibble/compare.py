# SPDX-License-Identifier: MIT
"""A verdict on two results."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Union

from ._native import Options, check, ffi, lib, take_text
from ._worker import Worker

# What Model.evaluate returned, or the path of a file of `nibble eval --out`.
Result = Union[Mapping[str, Any], str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Comparison:
    """What `nibble compare --json` says."""

    verdict: str  # "pass", "fail" or "undecided"
    report: Mapping[str, Any]  # the whole

    @property
    def passed(self) -> bool:
        return self.verdict == "pass"


def _text(result: Result) -> bytes:
    if isinstance(result, Mapping):
        return json.dumps(result, ensure_ascii=False).encode()
    return Path(result).read_bytes()


def compare(
    base: Result,
    cand: Result,
    *,
    gates: Optional[Mapping[str, float]] = None,
    common: bool = False,
    any_model: bool = False,
    resamples: Optional[int] = None,
    seed: Optional[int] = None,
) -> Comparison:
    """Judges a candidate's result against a baseline's, question by question.

    gates: the limits as nibble-gate.json has them, {"margin": 1, "max_kld": 0.02}; without, a margin of one point.
    """
    o = Options(
        "nibble_compare_options",
        gates=None if gates is None else json.dumps(dict(gates)),
        common=common, any_model=any_model, resamples=resamples, seed=seed,
    )  # fmt: skip
    texts = _text(base), _text(cand)
    out, n = ffi.new("char **"), ffi.new("size_t *")

    def work() -> bytes:
        b, c = texts
        check(lambda err: int(lib.nibble_compare(b, len(b), c, len(c), o.pointer, out, n, err)))
        return take_text(out, n)

    worker = Worker()
    try:
        report = json.loads(worker.call(work))
    finally:
        worker.close()
    return Comparison(report["verdict"], report)

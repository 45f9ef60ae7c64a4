# SPDX-License-Identifier: MIT
"""Runs, quantizes and evaluates language models on a CPU: libnibble for Python. docs/python.md has examples.

Any thread may use a model; calls on one model wait for each other. Ctrl-C ends a call soon, with KeyboardInterrupt.
"""

from ._errors import (
    ArgumentError,
    ClosedError,
    FormatError,
    InputOutputError,
    NibbleError,
    NumericError,
    OutOfMemoryError,
    StoppedError,
    UnsupportedError,
)
from ._native import library_version
from ._types import Generation, Info, Memory, Message, Progress, Score
from .compare import Comparison, compare
from .model import Model
from .quantize import quantize
from .memory import memory

__version__ = library_version()

__all__ = [
    "ArgumentError",
    "ClosedError",
    "Comparison",
    "FormatError",
    "Generation",
    "Info",
    "InputOutputError",
    "Memory",
    "Message",
    "Model",
    "NibbleError",
    "NumericError",
    "OutOfMemoryError",
    "Progress",
    "Score",
    "StoppedError",
    "UnsupportedError",
    "compare",
    "memory",
    "quantize",
]

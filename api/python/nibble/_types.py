# SPDX-License-Identifier: MIT
"""The plain values that go in and come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, NamedTuple, Optional, TypedDict

# Called with what is done ("quantizing"), how much of it, and out of how much (0: not known). False stops the call,
# with StoppedError; an exception stops it and comes out of it. It runs in the thread that works, not in the caller's.
Progress = Callable[[str, int, int], Optional[bool]]


class Message(TypedDict):
    """A turn of a conversation."""

    role: str  # "system", "user" or "assistant"
    content: str


class Score(NamedTuple):
    """What a continuation got."""

    logprob: float  # natural logarithm, summed over its tokens
    greedy: bool  # whether each of them is the most likely token


@dataclass(frozen=True)
class Info:
    """A model's facts."""

    architecture: str
    layers: int
    width: int
    vocabulary: int
    max_position: int  # tokens of the longest sequence
    bos: int | None  # ids of the begin and the end token
    eos: int | None
    has_chat_template: bool
    file_bytes: int


@dataclass(frozen=True)
class Generation:
    """A text that a model wrote."""

    text: str
    prompt_tokens: int
    new_tokens: int
    prompt_seconds: float
    new_seconds: float
    ended: str  # "end": by the model's end token; "stop": by a stop string; "length": by a limit


@dataclass(frozen=True)
class Memory:
    """What this process holds, in bytes; 0 where the system does not say."""

    file: int  # mapped files' pages, which the system can drop
    anon: int  # heap, stacks and caches
    peak: int  # the most that both were together

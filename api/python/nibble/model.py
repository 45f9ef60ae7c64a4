# SPDX-License-Identifier: MIT
"""A model: text in, text and numbers out."""

from __future__ import annotations

import json
import os
import queue
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Type, Union

import numpy as np

from ._errors import ArgumentError
from ._native import Options, c_string, check, ffi, lib, take_text, text_of
from ._types import Generation, Info, Message, Progress, Score
from ._worker import Callback, Job, ProgressCallback, Worker

if TYPE_CHECKING:
    from numpy.typing import NDArray

Path = Union[str, "os.PathLike[str]"]
# A text, or the ids of one.
Prompt = Union[str, Sequence[int], "NDArray[np.int32]"]

_PRIORITIES = {"same": 0, "high": 1, "low": 2, "background": 3}
_ENDED = {0: "length", 1: "end", 2: "stop"}


def _ids(ids: Union[Sequence[int], "NDArray[np.int32]"]) -> "NDArray[np.int32]":
    wide = np.asarray(ids)
    if wide.size and not np.issubdtype(wide.dtype, np.integer):
        raise TypeError("token ids are whole numbers")
    return np.ascontiguousarray(np.clip(wide, -1, 2**31 - 1).reshape(-1), dtype=np.int32)


def _pointer(c_type: str, array: Any) -> Any:
    return ffi.from_buffer(c_type, array)


class Model:
    """A .nbl file, a checkpoint's folder or a .gguf file, opened.

    Any thread may use it: its calls run one after another in a thread of its own, which starts `threads` more for the
    arithmetic. For calls at the same time open the file several times; its weights stay once in memory. Ctrl-C ends a
    call soon. `close`, or the end of a `with` block, ends what runs (StoppedError); later calls raise ClosedError.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: Optional[int] = None,
        verify: bool = False,
        batch: Optional[int] = None,
        kv: Optional[str] = None,
        cpu: Optional[str] = None,
        memory_limit: Optional[int] = None,
        priority: str = "same",
        log: Optional[Callable[[str], None]] = None,
    ) -> None:
        """threads: all processors of this process without. verify: check every tensor's checksum first. batch: tokens
        of a forward pass at most. kv: type of the attention cache, "f32", "f16", "q16" or "q8". cpu: no instruction set
        above this. memory_limit: bytes that it may hold of its own. priority: of the threads that it starts, "same",
        "high", "low" or "background". log: gets what the files hold and the model does not use, and what was opened.
        The defaults are nibble_options' in nibble.h."""
        if priority not in _PRIORITIES:
            raise ArgumentError(f"priority {priority!r} is none of {', '.join(_PRIORITIES)}")

        def take_line(ctx: Any, text: Any) -> None:
            if log:
                log(text_of(text))

        on_line = Callback("void(void *, const char *)", take_line)
        o = Options(
            "nibble_options",
            threads=threads, verify=verify, batch=batch, kv=kv, cpu=cpu, memory_limit=memory_limit,
            priority=_PRIORITIES[priority], log=on_line.pointer if log else None,
        )  # fmt: skip
        handle = ffi.new("nibble_model **")
        name = c_string(path)
        check(lambda err: int(lib.nibble_open(name, o.pointer, handle, err)))
        self.path = os.fspath(path)
        self._m = m = handle[0]
        self._worker = Worker(lambda on: lib.nibble_interrupt(m, on))
        self.info = self._describe()
        # Closes a model that is forgotten, too, and at the end of the program.
        self._close = weakref.finalize(self, self._worker.close, lambda: lib.nibble_close(m))
        on_line.reraise()

    def close(self) -> None:
        """Ends what runs and lets go of the file. Twice is no error."""
        self._close()

    @property
    def closed(self) -> bool:
        return not self._close.alive

    def __enter__(self) -> "Model":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<nibble.Model {self.path!r}{' closed' if self.closed else ''}>"

    def __reduce__(self) -> Any:
        raise TypeError("a nibble.Model cannot be pickled: open its file in the other process")

    def _describe(self) -> Info:
        i = ffi.new("nibble_info *")
        lib.nibble_describe(self._m, i)
        return Info(
            text_of(i.architecture), i.layers, i.width, i.vocabulary, i.max_position,
            i.bos if i.bos >= 0 else None, i.eos if i.eos >= 0 else None, bool(i.has_chat_template), i.file_bytes,
        )  # fmt: skip

    # ---- text ----

    def tokenize(self, text: str, *, special: bool = True) -> "NDArray[np.int32]":
        """Text to ids. special: add what the tokenizer puts around a text (the begin token), unless it is there."""
        data = text.encode("utf-8", "replace")

        def work() -> "NDArray[np.int32]":
            ids, n = ffi.new("int32_t **"), ffi.new("size_t *")
            check(lambda err: int(lib.nibble_tokenize(self._m, data, len(data), 2 if special else 0, ids, n, err)))
            return np.frombuffer(take_text(ids, [4 * n[0]]), dtype=np.int32).copy()

        return self._worker.call(work)

    def detokenize(self, ids: Union[Sequence[int], "NDArray[np.int32]"]) -> str:
        """Ids to text, without special tokens."""
        array = _ids(ids)

        def work() -> str:
            text, n = ffi.new("char **"), ffi.new("size_t *")
            given = _pointer("int32_t[]", array)
            check(lambda err: int(lib.nibble_detokenize(self._m, given, len(array), text, n, err)))
            return take_text(text, n).decode("utf-8", "replace")

        return self._worker.call(work)

    def chat(self, messages: Iterable[Message]) -> str:
        """A conversation in the form that the model was trained on, ending where its answer begins."""
        alive: List[Any] = []

        def c_text(text: str) -> Any:
            alive.append(ffi.new("char[]", c_string(text)))
            return alive[-1]

        turns = [{"role": c_text(m["role"]), "content": c_text(m["content"])} for m in messages]
        array = ffi.new("nibble_message[]", turns)

        def work() -> str:
            text, n = ffi.new("char **"), ffi.new("size_t *")
            check(lambda err: int(lib.nibble_chat(self._m, array, len(turns), text, n, err)))
            return take_text(text, n).decode("utf-8", "replace")

        return self._worker.call(work)

    def _prompt(self, prompt: Prompt) -> "NDArray[np.int32]":
        return self.tokenize(prompt) if isinstance(prompt, str) else _ids(prompt)

    # ---- writing ----

    def generate(
        self,
        prompt: Prompt,
        *,
        max_tokens: Optional[int] = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        stop: Sequence[str] = (),
    ) -> Generation:
        """Continues a prompt: a text, or the ids of one. temperature 0: always the most likely token. stop: the text
        ends before the first of these. For a question to a chat model: generate(model.chat([...]))."""
        stream = Stream(self, prompt, max_tokens, temperature, top_p, seed, stop)
        for _ in stream:
            pass
        assert stream.generation
        return stream.generation

    def stream(
        self,
        prompt: Prompt,
        *,
        max_tokens: Optional[int] = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        stop: Sequence[str] = (),
    ) -> "Stream":
        """The same piece by piece, as the text is made. Leaving the loop ends it."""
        return Stream(self, prompt, max_tokens, temperature, top_p, seed, stop)

    # ---- numbers ----

    def score(self, context: Prompt, continuations: Sequence[Prompt]) -> List[Score]:
        """The log-probability of each continuation after the context, which is run once. Texts are cut into tokens
        alone: where a token may reach over the border, give ids."""
        before = self._prompt(context)
        after = [self.tokenize(c, special=False) if isinstance(c, str) else _ids(c) for c in continuations]
        n = len(after)

        def work() -> List[Score]:
            given = [_pointer("int32_t[]", a) for a in after]
            logprob, greedy = ffi.new("double[]", n), ffi.new("int[]", n)
            pointers, lengths = ffi.new("const int32_t *[]", given), ffi.new("size_t[]", [len(a) for a in after])
            context_ids = _pointer("int32_t[]", before)
            check(
                lambda err: int(
                    lib.nibble_score_each(self._m, context_ids, len(before), pointers, lengths, n, logprob, greedy, err)
                )
            )
            return [Score(logprob[i], bool(greedy[i])) for i in range(n)]

        return self._worker.call(work)

    def logits(self, ids: Prompt, last: Optional[int] = None) -> "NDArray[np.float32]":
        """The logits after each of the last `last` ids (all of them without): (last, vocabulary)."""
        array = self._prompt(ids)
        rows = len(array) if last is None else last
        if not 0 <= rows <= len(array):
            raise ValueError(f"last {rows} of {len(array)} ids")
        out = np.empty((rows, self.info.vocabulary), np.float32)

        def work() -> None:
            given, to = _pointer("int32_t[]", array), _pointer("float[]", out)
            check(lambda err: int(lib.nibble_logits(self._m, given, len(array), rows, to, err)))

        self._worker.call(work)
        return out

    def evaluate(
        self,
        data: Path,
        *,
        task: Optional[Path] = None,
        preset: Optional[str] = None,
        split: Optional[str] = None,
        shots: Optional[int] = None,
        subjects: Union[str, Sequence[str], None] = None,
        limit: Optional[int] = None,
        sample: Optional[int] = None,
        seed: Optional[int] = None,
        chat: Optional[str] = None,
        system: Optional[str] = None,
        overlong: Optional[str] = None,
        no_bos: bool = False,
        texts: bool = False,
        kv_memory: Optional[int] = None,
        journal: Optional[Path] = None,
        progress: Optional[Progress] = None,
    ) -> Dict[str, Any]:
        """Measures accuracy on a set of questions (task "mmlu" without another): the result file of `nibble eval`
        (formats/RESULT.md), whose ["total"] has the scores. The options are fields of nibble_evaluate_options in
        nibble.h. With a journal, a run that was stopped goes on when it is called again."""
        on_progress = ProgressCallback(progress)
        o = Options(
            "nibble_evaluate_options",
            task=task, preset=preset, data=data, split=split, shots=-1 if shots == 0 else shots,
            subjects=subjects if subjects is None or isinstance(subjects, str) else ",".join(subjects),
            limit=limit, sample=sample, seed=seed, chat=chat, system=system, overlong=overlong, no_bos=no_bos,
            texts=texts, kv_memory=kv_memory, journal=journal, progress=on_progress.pointer,
        )  # fmt: skip

        def work() -> bytes:
            out, n = ffi.new("char **"), ffi.new("size_t *")
            check(lambda err: int(lib.nibble_evaluate(self._m, o.pointer, out, n, err)))
            return take_text(out, n)

        try:
            result: Dict[str, Any] = json.loads(self._worker.call(work))
        except Exception:
            on_progress.reraise()
            raise
        on_progress.reraise()
        return result


class Stream(Iterator[str]):
    """A text while it is written: an iterator over its pieces, whole characters each. `generation` has the whole once
    the iterator is at its end. Another thread may call close."""

    def __init__(
        self,
        model: Model,
        prompt: Prompt,
        max_tokens: Optional[int],
        temperature: float,
        top_p: float,
        seed: int,
        stop: Sequence[str],
    ) -> None:
        if max_tokens is not None and max_tokens < 1:
            raise ArgumentError(f"max_tokens {max_tokens}: at least one")
        ids = model._prompt(prompt)
        pieces: "queue.SimpleQueue[Optional[str]]" = queue.SimpleQueue()
        text: List[str] = []

        def take(ctx: Any, piece: Any, n: int) -> int:
            text.append(bytes(ffi.buffer(piece, n)).decode("utf-8", "replace"))
            pieces.put(text[-1])
            return 1

        callback = Callback("int(void *, const char *, size_t)", take, 0)
        stops = [stop] if isinstance(stop, str) else list(stop)
        o = Options(
            "nibble_generation", max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed,
            text=callback.pointer, n_stop=len(stops),
        )  # fmt: skip
        strings = [o.keep(ffi.new("char[]", c_string(s))) for s in stops]
        o.pointer.stop = o.keep(ffi.new("const char *[]", strings))

        def work() -> Generation:
            s = ffi.new("nibble_stats *")
            given = _pointer("int32_t[]", ids)
            check(lambda err: int(lib.nibble_generate(model._m, given, len(ids), o.pointer, s, err)))
            callback.reraise()
            return Generation(
                "".join(text), s.prompt_tokens, s.new_tokens, s.prompt_seconds, s.new_seconds, _ENDED[s.ended]
            )

        self.generation: Optional[Generation] = None
        self._over = False
        self._pieces = pieces
        self._model = model  # stays open while its text is written
        self._job = Job(work, then=lambda: pieces.put(None))
        try:
            model._worker.submit(self._job)
        except BaseException:  # Ctrl-C
            self._job.end()
            raise

    def __next__(self) -> str:
        if self._over:
            raise StopIteration
        try:
            piece = self._pieces.get()
        except BaseException:  # Ctrl-C
            self.close()
            raise
        if piece is not None:
            return piece
        if not self._over:  # by another thread's close
            self._over = True
            self.generation = self._job.result()
        raise StopIteration

    def close(self) -> None:
        """Ends the text."""
        self._over = True
        self._job.end()

    def __del__(self) -> None:
        if hasattr(self, "_job"):
            self._job.stop()

# SPDX-License-Identifier: MIT
"""Where the library's functions run: each model has one thread of its own.

The caller waits in Python, where Ctrl-C reaches it: a callback that C calls could not pass it on, and a call without
callbacks would not notice. What the caller then does with the interrupt, and that calls on one model never meet, is
settled here and nowhere else."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Optional, TypeVar

from ._errors import ClosedError
from ._native import ffi, text_of
from ._types import Progress

T = TypeVar("T")


class Job:
    """One call: whether it runs, and how it is asked to end."""

    def __init__(self, interrupt: Callable[[bool], None]) -> None:
        self._interrupt = interrupt
        self._lock = threading.Lock()
        self._running = False
        self.stopped = False

    def run(self, work: Callable[[], T]) -> T:
        with self._lock:
            self._running = True
            if self.stopped:
                self._interrupt(True)
        try:
            return work()
        finally:
            # The next call must not find this one's interrupt.
            with self._lock:
                self._running = False
                self._interrupt(False)

    def stop(self) -> None:
        with self._lock:
            self.stopped = True
            if self._running:
                self._interrupt(True)


class Worker:
    """A thread that makes the calls, one after another. interrupt(on) asks the running one to end."""

    def __init__(self, interrupt: Callable[[bool], None] = lambda on: None) -> None:
        self._interrupt = interrupt
        self._ident: Optional[int] = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nibble", initializer=self._begin)
        self._jobs: set[Job] = set()
        self._lock = threading.Lock()
        self._closed = False

    def _begin(self) -> None:
        self._ident = threading.get_ident()

    def _inside(self) -> bool:
        return self._ident == threading.get_ident()

    def submit(self, work: Callable[[], T]) -> tuple[Job, "Future[T]"]:
        if self._inside():
            raise RuntimeError("a callback cannot call the model that called it: it would wait for itself")
        job = Job(self._interrupt)
        with self._lock:
            if self._closed:
                raise ClosedError("the model is closed")
            future = self._thread.submit(job.run, work)
            self._jobs.add(job)
        future.add_done_callback(lambda _: self._forget(job))
        return job, future

    def _forget(self, job: Job) -> None:
        with self._lock:
            self._jobs.discard(job)

    def call(self, work: Callable[[], T]) -> T:
        """Makes the call and waits. An exception here (Ctrl-C) ends the call first, then goes on."""
        job, future = self.submit(work)
        return self.wait(job, future)

    def wait(self, job: Job, future: "Future[T]") -> T:
        try:
            return future.result()
        except BaseException:
            if not future.done():
                self.end(job, future)
            raise

    @staticmethod
    def end(job: Job, future: "Future[Any]") -> None:
        """Ends a call and waits until it is over, through further Ctrl-Cs."""
        job.stop()
        future.cancel()
        while not future.done():
            try:
                future.exception()
            except BaseException:
                continue

    def close(self, last: Optional[Callable[[], None]] = None) -> None:
        """Ends what runs and what waits (each with StoppedError), then runs `last`. Once."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            jobs = list(self._jobs)
        for job in jobs:
            job.stop()
        if last:
            try:
                self._thread.submit(last)
            except RuntimeError:  # the interpreter ends: it has joined the thread, so nothing runs any more
                last()
        self._thread.shutdown(wait=not self._inside())


class Callback:
    """A Python function that C calls; its type in C's words, and what it returns to stop the call (None: of a void
    function). What it raises stops the call and comes out of `reraise`."""

    def __init__(self, c_type: str, work: Callable[..., Optional[int]], stop: Optional[int] = None) -> None:
        self._error: Optional[BaseException] = None

        def guarded(*args: Any) -> Optional[int]:
            try:
                return work(*args)
            except BaseException as error:
                self._error = self._error or error
                return stop

        self.pointer = ffi.callback(c_type, guarded) if stop is None else ffi.callback(c_type, guarded, error=stop)

    def reraise(self) -> None:
        if self._error:
            error, self._error = self._error, None
            raise error


class ProgressCallback(Callback):
    """A Progress as the library's callback; stop(True) makes the call end at the next step."""

    def __init__(self, progress: Optional[Progress]) -> None:
        self._stopped = False
        self._progress = progress
        super().__init__("int(void *, const char *, uint64_t, uint64_t)", self._step, 1)

    def _step(self, ctx: Any, what: Any, done: int, total: int) -> int:
        if self._stopped:
            return 1
        return int(self._progress is not None and self._progress(text_of(what), done, total) is False)

    def stop(self, on: bool) -> None:
        self._stopped = on

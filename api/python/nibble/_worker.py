# SPDX-License-Identifier: MIT
"""Where the library's functions run: each model has one thread of its own.

The caller waits in Python, where Ctrl-C reaches it: a callback that C calls could not pass it on, and a call without
callbacks would not notice. What the caller then does with the interrupt, and that calls on one model never meet, is
settled here and nowhere else. (concurrent.futures does not serve: a Ctrl-C while it starts its thread makes it start a
second one.)"""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable, Generic, Optional, TypeVar

from ._errors import ClosedError, StoppedError
from ._native import ffi, text_of
from ._types import Progress

T = TypeVar("T")


class Job(Generic[T]):
    """One call: what it does, how it is asked to end, what came of it. then: called when it is over, in the thread that
    worked."""

    def __init__(self, work: Callable[[], T], then: Optional[Callable[[], None]] = None) -> None:
        self._work: Optional[Callable[[], T]] = work
        self._then = then
        self._lock = threading.RLock()
        self._done = threading.Event()
        self._interrupt: Optional[Callable[[bool], None]] = None  # while it runs
        self._value: Any = None
        self._error: Optional[BaseException] = None
        self.queued = False  # whether it will be run
        self.stopped = False

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def run(self, interrupt: Callable[[bool], None]) -> None:
        with self._lock:
            self._interrupt = interrupt
        try:
            if self.stopped:
                raise StoppedError("the call was stopped before it began")
            assert self._work
            self._value = self._work()
        except BaseException as error:
            self._error = error
        with self._lock:
            self._interrupt = None
            interrupt(False)  # the next call must not find this one's
        self._work = None
        self._done.set()
        if self._then:
            self._then()

    def stop(self) -> None:
        """Asks the call to end; it does so soon."""
        with self._lock:
            self.stopped = True
            if self._interrupt:
                self._interrupt(True)

    def end(self) -> None:
        """Stops the call and waits until it is over, through further Ctrl-Cs."""
        self.stop()
        while self.queued and not self.done:
            try:
                self._done.wait()
            except BaseException:
                continue

    def result(self) -> T:
        """Waits; returns what the call returned, or raises what it raised."""
        self._done.wait()
        if self._error:
            raise self._error
        value: T = self._value
        return value


class Worker:
    """A thread that runs jobs, one after another. interrupt(on) asks the call that runs to end."""

    def __init__(self, interrupt: Callable[[bool], None] = lambda on: None) -> None:
        self._interrupt = interrupt
        self._queue: "queue.SimpleQueue[Optional[Job[Any]]]" = queue.SimpleQueue()
        self._jobs: set[Job[Any]] = set()
        # Reentrant, as a job's: the garbage collector may close a forgotten model in any thread, in here too.
        self._lock = threading.RLock()
        self._closed = False
        # A daemon, so that a program's end does not wait for it: Model closes it there.
        self._thread = threading.Thread(target=self._serve, name="nibble", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            job = self._queue.get()
            if job is None:
                return
            job.run(self._interrupt)
            with self._lock:
                self._jobs.discard(job)
            del job  # and what it holds, while the thread waits

    def _inside(self) -> bool:
        return threading.current_thread() is self._thread

    def submit(self, job: Job[Any]) -> None:
        if self._inside():
            raise RuntimeError("a callback cannot call the model that called it: it would wait for itself")
        with self._lock:
            if self._closed:
                raise ClosedError("the model is closed")
            self._jobs.add(job)
            self._queue.put(job)
            # In this order: after a Ctrl-C in between the job is stopped, though nobody waits for it.
            job.queued = True

    def call(self, work: Callable[[], T]) -> T:
        """Makes the call and waits. An exception here (Ctrl-C) ends the call first, then goes on."""
        job = Job(work)
        try:
            self.submit(job)
            return job.result()
        except BaseException:
            job.end()
            raise

    def close(self, last: Optional[Callable[[], None]] = None) -> None:
        """Ends what runs and what waits (each with StoppedError), then runs `last`. Once."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for job in list(self._jobs):
                job.stop()
            if last:
                self._queue.put(Job(last))
            self._queue.put(None)
        if not self._inside():
            self._thread.join()


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

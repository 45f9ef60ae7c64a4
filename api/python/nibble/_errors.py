# SPDX-License-Identifier: MIT
"""What nibble's statuses are as exceptions. Each has nibble's message, which names the file and what to do."""


class NibbleError(Exception):
    """Of all of them the base."""


class FormatError(NibbleError, ValueError):
    """A file is damaged."""


class UnsupportedError(NibbleError, NotImplementedError):
    """A model or a template that nibble does not know."""


class ArgumentError(NibbleError, ValueError):
    """The caller's: an option or a token id out of range, a text too long for the model, runs that do not compare."""


class NumericError(NibbleError, ArithmeticError):
    """The weights gave a NaN."""


class InputOutputError(NibbleError, OSError):
    """The operating system refused: open, read, write, map."""


class OutOfMemoryError(NibbleError, MemoryError):
    """There is not enough memory."""


class StoppedError(NibbleError):
    """The call was stopped: a progress callback returned False, or the model was closed meanwhile."""


class ClosedError(NibbleError, ValueError):
    """The model was closed before the call."""

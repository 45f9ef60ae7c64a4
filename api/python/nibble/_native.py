# SPDX-License-Identifier: MIT
"""libnibble by its own header: nibble.h lies beside the library and is read when this module is imported, so that no
function, field or constant is listed a second time here."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Callable, Dict, Type

import cffi

from . import _errors as errors

_FOLDER = Path(__file__).parent / "native"


def _declarations(header: str) -> str:
    """The declarations of nibble.h as cffi reads them: without the preprocessor's lines, and with C++'s braces gone."""
    header = re.sub(r"/\*.*?\*/", " ", header, flags=re.S)
    header = re.sub(r'#ifdef __cplusplus\n.*?#endif', "", header, flags=re.S)
    return re.sub(r"^#.*$", "", header, flags=re.M).replace("NIBBLE_API ", "")


ffi: Any = cffi.FFI()
ffi.cdef(_declarations((_FOLDER / "nibble.h").read_text(encoding="utf-8")))


def _open() -> Any:
    # NIBBLE_LIBRARY names another build of the library, for those who work on it.
    return ffi.dlopen(os.environ.get("NIBBLE_LIBRARY") or str(_FOLDER / "libnibble.so"))


lib: Any = _open()

_EXCEPTIONS: Dict[int, Type[errors.NibbleError]] = {
    lib.NIBBLE_ERROR_IO: errors.InputOutputError,
    lib.NIBBLE_ERROR_FORMAT: errors.FormatError,
    lib.NIBBLE_ERROR_UNSUPPORTED: errors.UnsupportedError,
    lib.NIBBLE_ERROR_MEMORY: errors.OutOfMemoryError,
    lib.NIBBLE_ERROR_ARGUMENT: errors.ArgumentError,
    lib.NIBBLE_ERROR_NUMERIC: errors.NumericError,
    lib.NIBBLE_STOPPED: errors.StoppedError,
}


def check(call: Callable[[Any], int]) -> None:
    """Runs call with room for an error's text, and raises what it returns."""
    err = ffi.new("nibble_error *")
    status = call(err)
    if status != lib.NIBBLE_OK:
        raise _EXCEPTIONS[status](text_of(err.text))


def take_text(text: Any, n_bytes: Any) -> bytes:
    """The bytes of a text that the library handed out, which is freed. Both are pointers to the out parameters."""
    if not n_bytes[0]:
        lib.nibble_free(text[0])
        return b""
    try:
        return bytes(ffi.buffer(text[0], n_bytes[0]))
    finally:
        lib.nibble_free(text[0])


class Options:
    """A structure of the library: zeros, then the fields that are given. None leaves a field at its default, strings
    and paths become C strings that live as long as this object. An unknown field is a TypeError."""

    def __init__(self, type_name: str, **fields: Any) -> None:
        self.pointer = ffi.new(type_name + " *")
        self._alive: list[Any] = []
        known = dict(ffi.typeof(type_name).fields)
        if "size" in known:
            self.pointer.size = ffi.sizeof(type_name)
        for name, value in fields.items():
            if name not in known:
                raise TypeError(f"{type_name} has no field {name!r}")
            if value is None:
                continue
            if isinstance(value, (str, os.PathLike)):
                value = self.keep(ffi.new("char[]", c_string(value)))
            try:
                setattr(self.pointer, name, value)
            except OverflowError:
                raise errors.ArgumentError(f"{name} {value} is out of range") from None

    def keep(self, value: Any) -> Any:
        """Keeps value alive with the structure; returns it."""
        self._alive.append(value)
        return value


def c_string(text: str | os.PathLike[str]) -> bytes:
    """A text or a path as the bytes of a C string."""
    data = os.fsencode(text) if isinstance(text, os.PathLike) else text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise errors.ArgumentError("a text for nibble cannot hold a NUL character here")
    return data


def text_of(c_text: Any) -> str:
    """A C string as a text."""
    value = ffi.string(c_text)
    assert isinstance(value, bytes)
    return value.decode("utf-8", "replace")


def library_version() -> str:
    """ "0.1.0" """
    return text_of(lib.nibble_version())

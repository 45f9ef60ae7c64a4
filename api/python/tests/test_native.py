# SPDX-License-Identifier: MIT
"""The package and the header: all that nibble.h declares is used, and none of its names is listed here again."""

import re
from pathlib import Path

import pytest

import nibble
from nibble import _native

PACKAGE = Path(nibble.__file__).parent


def declared(root):
    header = (root / "api/nibble.h").read_text()
    return set(re.findall(r"NIBBLE_API [^;(]*?(nibble_[a-z_]+)\(", header))


def test_header_is_this_trees(root):
    assert (PACKAGE / "native/nibble.h").read_text() == (root / "api/nibble.h").read_text()


def test_every_function_is_used(root):
    functions = declared(root)
    assert len(functions) > 10
    used = set(re.findall(r"lib\.(nibble_[a-z_]+)", "".join(p.read_text() for p in PACKAGE.glob("*.py"))))
    # nibble_score is nibble_score_each for one continuation.
    assert functions - {"nibble_score"} == used
    for name in functions:
        assert callable(getattr(_native.lib, name))


def test_every_option_can_be_given(root):
    """Each field of the options is a keyword of the function that takes it."""
    import inspect

    takers = {
        "nibble_options": nibble.Model.__init__,
        "nibble_quantize_options": nibble.quantize,
        "nibble_evaluate_options": nibble.Model.evaluate,
        "nibble_compare_options": nibble.compare,
        "nibble_generation": nibble.Model.generate,
    }
    own = {"size", "ctx", "text", "n_stop"}  # what the package fills in itself
    for structure, function in takers.items():
        fields = {name for name, _ in _native.ffi.typeof(structure).fields} - own
        missing = fields - set(inspect.signature(function).parameters)
        assert not missing, f"{function.__qualname__} lacks {missing} of {structure}"


def test_every_status_is_an_exception(root):
    header = (root / "api/nibble.h").read_text()
    for name in re.findall(r"NIBBLE_(?:ERROR_[A-Z]+|STOPPED)\b", header.split("nibble_status;")[0]):
        assert issubclass(_native._EXCEPTIONS[getattr(_native.lib, name)], nibble.NibbleError)


def test_unknown_fields_are_refused():
    with pytest.raises(TypeError, match="no_such"):
        _native.Options("nibble_options", no_such=1)


def test_version(root):
    version = re.search(r"^VERSION := (\S+)", (root / "Makefile").read_text(), re.M).group(1)
    assert nibble.__version__ == version

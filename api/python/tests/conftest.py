# SPDX-License-Identifier: MIT
"""What the tests share: the demo checkpoint of data/demo, and a 4-bit file made of it once."""

import os
from pathlib import Path

import pytest

import nibble

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def program():
    """The command of the same tree, to compare with."""
    path = Path(os.environ.get("NIBBLE_PROGRAM", ROOT / "build/release/nibble"))
    if not path.exists():
        pytest.skip(f"{path} is not there: run make")
    return path


@pytest.fixture(scope="session")
def demo(root):
    return root / "data/demo"


@pytest.fixture(scope="session")
def questions(demo):
    return demo / "mmlu"


@pytest.fixture(scope="session")
def nbl(demo, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "demo.nbl"
    nibble.quantize(demo, path)
    return path


@pytest.fixture
def model(nbl):
    with nibble.Model(nbl, threads=2) as m:
        yield m

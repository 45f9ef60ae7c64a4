# SPDX-License-Identifier: MIT
"""What pyproject.toml adds to setuptools: the Makefile builds libnibble into the package, beside its header, and the
wheel is of this platform, for any Python 3."""

import os
import re
import subprocess
from pathlib import Path

from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parents[2]
VERSION = re.search(r"^VERSION := (\S+)", (ROOT / "Makefile").read_text(), re.M).group(1)


class BuildPy(build_py):
    def run(self):
        super().run()
        # An editable install takes the package where it lies.
        base = ROOT / "api/python" if self.editable_mode else Path(self.build_lib)
        target = (base / "nibble" / "native").resolve()
        jobs = os.environ.get("NIBBLE_JOBS") or str(os.cpu_count() or 1)
        make = os.environ.get("MAKE", "make")
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        subprocess.run([make, f"-j{jobs}", "python-parts", f"DESTDIR={target}"], cwd=ROOT, check=True, env=environment)


class BdistWheel(bdist_wheel):
    def finalize_options(self):
        # There is a library inside: the package belongs where platforms' files go.
        self.distribution.has_ext_modules = lambda: True
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]

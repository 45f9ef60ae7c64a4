# SPDX-License-Identifier: MIT
"""What the scripts that measure have in common: a folder that keeps what was made, so that a run that was stopped goes
on, and the rows of a Markdown table."""
import os, shutil


def made(folder, name, make):
    """folder/name, a file or a folder that make(path) makes: whole or not at all."""
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        part = os.path.join(folder, "part-" + name)
        shutil.rmtree(part, ignore_errors=True)  # a file is written again
        make(part)
        os.rename(part, path)
    return path


def cells(*c): print("| " + " | ".join(c) + " |")

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the steps of a composite GitHub Action on this machine, as GitHub runs them: every `run:` by bash -eo pipefail
with the step's environment, outputs, PATH and summary through GitHub's files. actions/cache and actions/upload-artifact
are played by folders. An expression other than a name, or a condition that is not known here, is an error.

usage: run_action.py ACTION.yml STATE [INPUT=VALUE...]     (in the folder that is the user's checkout)
Leaves STATE/outputs.json, STATE/summary.md, STATE/cache/KEY, STATE/artifacts/NAME. The exit status is that of the first
step that failed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml


class Runner:
    def __init__(self, path, state, given):
        self.action = yaml.safe_load(Path(path).read_text())
        self.state = Path(state).resolve()
        declared = self.action["inputs"]
        unknown = set(given) - set(declared)
        missing = {n for n, i in declared.items() if i.get("required")} - set(given)
        if unknown or missing:
            sys.exit(f"inputs: unknown {unknown}, missing {missing}")
        inputs = {n: str(i.get("default", "")) for n, i in declared.items()} | given
        temp = self.state / "temp"
        shutil.rmtree(temp, ignore_errors=True)
        temp.mkdir(parents=True)
        self.names = {f"inputs.{n}": v for n, v in inputs.items()}
        self.names |= {"github.action_path": str(Path(path).resolve().parent), "runner.temp": str(temp)}
        self.path, self.code, self.save = os.environ["PATH"], 0, []

    def expand(self, text):
        return re.sub(r"\$\{\{ *(.*?) *\}\}", lambda m: self.names[m.group(1)], str(text))

    def wanted(self, condition):
        if condition is None:
            return self.code == 0
        rest = condition.replace("always()", "True")
        m = re.fullmatch(r"True(?: && (\S+) != '')?", rest)
        if not m:
            sys.exit(f"condition '{condition}' is not known")
        return not m.group(1) or self.names[m.group(1)] != ""

    def run(self):
        for step in self.action["runs"]["steps"]:
            if not self.wanted(step.get("if")):
                continue
            print(f"== {step['name']}", flush=True)
            outputs, code = (self.shell if "run" in step else self.use)(step)
            for name, value in outputs.items():
                self.names[f"steps.{step.get('id')}.outputs.{name}"] = value
            self.code = self.code or code
        if self.code == 0:
            for place, kept in self.save:
                shutil.copytree(place, kept, symlinks=True)
        outputs = {n: self.names.get(o["value"][3:-2].strip(), "") if o["value"].startswith("${{ steps")
                   else self.expand(o["value"]) for n, o in self.action["outputs"].items()}
        (self.state / "outputs.json").write_text(json.dumps(outputs))
        return self.code

    def shell(self, step):
        if step["shell"] != "bash":
            sys.exit(f"shell {step['shell']} is not known")
        if "${{" in step["run"]:
            sys.exit(f"step '{step['name']}': an expression inside a script is run as code: give it by env")
        files = {n: self.state / "temp" / n.lower() for n in ("GITHUB_OUTPUT", "GITHUB_PATH")}
        for f in files.values():
            f.write_text("")
        environment = os.environ | {n: str(f) for n, f in files.items()} | {"PATH": self.path}
        environment |= {"GITHUB_STEP_SUMMARY": str(self.state / "summary.md"), "GITHUB_ACTIONS": "true"}
        environment |= {n: self.expand(v) for n, v in step.get("env", {}).items()}
        script = self.state / "temp/step.sh"
        script.write_text(step["run"])
        code = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", script], env=environment).returncode
        for line in files["GITHUB_PATH"].read_text().split():
            self.path = f"{line}:{self.path}"
        return dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines()), code

    def use(self, step):
        what, given = step["uses"], {n: self.expand(v) for n, v in step["with"].items()}
        if what.startswith("actions/cache@"):
            kept, place = self.state / "cache" / given["key"], Path(given["path"])
            if kept.exists():
                shutil.copytree(kept, place, symlinks=True)
                return {"cache-hit": "true"}, 0
            self.save.append((place, kept))
            return {"cache-hit": ""}, 0
        if what.startswith("actions/upload-artifact@"):
            if Path(given["path"]).exists():
                shutil.copytree(given["path"], self.state / "artifacts" / given["name"], dirs_exist_ok=True)
            return {}, 0
        sys.exit(f"uses: {what} is not known")


if __name__ == "__main__":
    sys.exit(Runner(sys.argv[1], sys.argv[2], dict(a.split("=", 1) for a in sys.argv[3:])).run())

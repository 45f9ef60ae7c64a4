#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One model in many forms: bytes, divergence by kind of text, accuracy, speed; and what calibration makes of llama.cpp's
types beside llama.cpp's own quantizer, at equal bytes and with an importance matrix of the same text.

usage: bench_forms.py NIBBLE MODEL_DIR DOMAINS_DIR OUT_DIR [options]

DOMAINS_DIR holds calib_KIND.txt, which is all that forms are calibrated on, and held_KIND.txt, which is all that they are
measured on. OUT_DIR keeps what was made and measured, and a run that was stopped goes on; it begins with calibrate.txt,
drawn evenly over the calib_ texts. All forms are made first, then measured together. Forms of llama.cpp
(llama-TYPE) need `pip install xllamacpp gguf numpy` and are left out with a note where that is missing. Speeds are those
of the program that a file is for: llama.cpp's for GGUF where it is there, else nibble's. Rows stand in the order of
FORMS; the last table has the ratio of nibble's divergence to llama.cpp's for each type that was measured in both ways.
"""
import argparse, importlib.util, json, math, os, subprocess, sys

from bench_out import cells, made

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden"))
TYPES = ("q4_0", "q4_1", "q4_k", "iq4_nl")  # that both write
FORMS = ["bf16", "nbl", "nbl-fast", "q8_0"] + [f + t for t in TYPES for f in ("llama-", "")] + ["llama-q4_k_m"]
WORDS = {"bf16": "GGUF BF16", "nbl": ".nbl, calibrated", "nbl-fast": ".nbl, `--fast`", "q8_0": "GGUF Q8_0"}


def draw(domains, tokens):
    """Pieces of whole lines in turn from every calib_ text, evenly over its length, some 4 bytes a token."""
    names = sorted(n for n in os.listdir(domains) if n.startswith("calib_") and n.endswith(".txt"))
    pieces = max(1, min(10, tokens // 300 // len(names)))
    size, out = tokens * 4 // (pieces * len(names)), []
    for name in names:
        lines = open(os.path.join(domains, name), "rb").read().splitlines(keepends=True)
        total, at, taken, have = sum(map(len, lines)), 0, 0, size
        for line in lines:
            if have >= size and at >= taken * total / pieces:
                out.append((taken, []))
                taken, have = taken + 1, 0
            if have < size:
                out[-1][1].append(line)
                have += len(line)
            at += len(line)
    return b"".join(b"".join(lines) for _, lines in sorted(out, key=lambda x: x[0]))


class Bench:
    def __init__(self, a):
        self.a, self.kinds = a, sorted(n[5:-4] for n in os.listdir(a.domains) if n.startswith("held_"))
        self.kinds = [k for k in self.kinds if not a.kinds or k in a.kinds.split(",")]
        os.makedirs(a.out, exist_ok=True)
        self.calib = self.made("calibrate.txt", lambda to: open(to, "wb").write(draw(a.domains, a.tokens)))

    def made(self, name, make): return made(self.a.out, name, make)

    def run(self, *args):
        print("+ nibble", *args, file=sys.stderr, flush=True)
        return subprocess.run([self.a.nibble, *args, "-q"], check=True, capture_output=True, text=True).stdout

    def json(self, name, make):
        """What `make` gives, kept as OUT/name."""
        def write(to):
            with open(to, "w") as f: json.dump(make(), f)
        return json.load(open(self.made(name, write)))

    def nibble(self, name, *args):
        return self.json(name, lambda: json.loads(self.run(*args, "--json")))

    def form(self, name):
        """The file of a form."""
        a, calib = self.a, ("--calib", self.calib, "--tokens", str(self.a.tokens))
        if name.startswith("llama-"): return self.made(name + ".gguf", lambda to: self.llama(name[6:], to))
        if name == "nbl": return self.made("nbl.nbl", lambda to: self.run("quantize", a.model, "-o", to, *calib))
        if name == "nbl-fast":
            return self.made("nbl-fast.nbl", lambda to: self.run("quantize", a.model, "-o", to, "--fast"))
        calib = calib if name in TYPES else ()
        return self.made(name + ".gguf", lambda to: self.run("export", a.model, "--gguf", to, "--type", name, *calib))

    def llama(self, kind, to):
        import llama_lib
        import numpy as np
        lib, source = llama_lib.library(), self.form("bf16")
        npz = os.path.join(self.a.out, "importance.npz")
        if not os.path.exists(npz):
            m = llama_lib.Model(lib, source)
            ids = m.tokenize(open(self.calib, "rb").read())  # all of them, as llama-imatrix takes a text
            h = m.importance(ids, len(ids) // llama_lib.CTX)
            m.close()
            np.savez(npz, **h)
        llama_lib.quantize(lib, source, dict(np.load(npz)), kind, to)

    def divergences(self, forms):
        """Measures what is not yet: OUT/FORM.KIND.CHUNKS.json."""
        a = self.a
        for kind in self.kinds:
            left = [f for f in forms if f != "bf16" and not os.path.exists(os.path.join(a.out, self.named(f, kind)))]
            if not left: continue
            got = json.loads(self.run("kld", a.model, *map(self.form, left), "--text",
                                      os.path.join(a.domains, f"held_{kind}.txt"), "--chunks", str(a.chunks), "--ctx",
                                      str(a.ctx), "--json"))
            for f, j in zip(left, got if isinstance(got, list) else [got]): self.json(self.named(f, kind), lambda: j)

    def named(self, form, kind):
        return f"{form}.{kind}.{self.a.chunks}.json"

    def speed(self, name):
        """Tokens a second: of a prompt of 512, and of tokens one by one."""
        file = self.form(name)
        if file.endswith(".gguf") and importlib.util.find_spec("xllamacpp"):
            import llama_lib
            return llama_lib.Model(llama_lib.library(), file).speed()
        run = json.loads(self.run("bench", file, "--prefill", "512", "--decode", "0", "--json"))["runs"][0]
        return [run[part][0]["tokens_per_s"] for part in ("prefill", "decode")]

    def measure(self, name):
        a, file = self.a, self.form(name)
        row = dict(name=name, bytes=os.path.getsize(file))
        row["kl"] = [json.load(open(os.path.join(a.out, self.named(name, k)))) for k in self.kinds] if name != "bf16" else []
        if a.data:
            more = [x for x in (a.eval_options or "").split() if x]
            row["eval"] = self.nibble(f"{name}.eval.json", "eval", file, "--data", a.data, "--task", a.task, *more)
        if a.speed: row["speed"] = self.json(f"{name}.speed.json", lambda: self.speed(name))
        return row

    def table(self, rows):
        a = self.a
        head = ["form", "MB"] + self.kinds + ["geometric mean"] + (["score"] if a.data else [])
        head += ["prompt, tokens/s", "decoding"] if a.speed else []
        cells(*head), cells(*["---"] * len(head))
        for r in rows:
            kl = [f"{k['kl_mean']:.4f}" for k in r["kl"]] or [""] * len(self.kinds)
            line = [WORDS.get(r["name"]) or words(r["name"]), f"{r['bytes'] / 1e6:.1f}", *kl, f"{mean(r):.4f}" if r["kl"] else ""]
            if a.data: line.append("{:.2f} ({:.1f} to {:.1f})".format(*(100 * r["eval"]["total"][k] for k in ("score", "low", "high"))))
            if a.speed: line += [f"{x:.0f}" for x in r["speed"]]
            cells(*line)
        print(f"\nKL divergence, {a.chunks} windows of {a.ctx} tokens each; calibrated on {a.tokens} tokens.\n")
        by = {r["name"]: r for r in rows}
        pairs = [(t, by[t], by["llama-" + t]) for t in TYPES if t in by and "llama-" + t in by]
        if not pairs: return
        cells("type", *self.kinds, "geometric mean", "worst", "bytes"), cells(*["---"] * (len(self.kinds) + 4))
        for t, own, other in pairs:
            ratio = [x["kl_mean"] / y["kl_mean"] for x, y in zip(own["kl"], other["kl"])]
            cells(t.upper(), *(f"{x:.3f}" for x in ratio), f"**{geometric(ratio):.3f}**", f"{max(ratio):.3f}",
                  "equal" if abs(own["bytes"] - other["bytes"]) < 4096 else f"{own['bytes'] - other['bytes']:+d}")
        print("\nnibble's divergence over llama.cpp's.")


def geometric(x): return math.exp(sum(map(math.log, x)) / len(x))
def mean(row): return geometric([k["kl_mean"] for k in row["kl"]])


def words(name):
    return f"GGUF {name.removeprefix('llama-').upper()}, " + ("llama.cpp" if name.startswith("llama-") else "calibrated")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("nibble", "model", "domains", "out"): p.add_argument(name)
    p.add_argument("--forms", help="some of: " + ",".join(FORMS))
    p.add_argument("--kinds", help="of held_ texts (all)")
    p.add_argument("--tokens", type=int, default=16384, help="to calibrate on")
    p.add_argument("--chunks", type=int, default=10, help="windows of each text")
    p.add_argument("--ctx", type=int, default=512)
    p.add_argument("--data", help="questions: adds accuracy")
    p.add_argument("--task", default="mmlu")
    p.add_argument("--eval-options", help='such as "--shots 5 --sample 200"')
    p.add_argument("--speed", action="store_true", help="adds speeds: on a quiet machine")
    a = p.parse_args()
    forms = a.forms.split(",") if a.forms else FORMS
    unknown = [f for f in forms if f not in FORMS]
    if unknown: p.error(f"--forms: no form is named {unknown[0]}: {', '.join(FORMS)}")
    if not importlib.util.find_spec("xllamacpp"):
        print("bench_forms.py: llama.cpp's forms are left out (pip install xllamacpp gguf numpy)", file=sys.stderr)
        forms = [f for f in forms if not f.startswith("llama-")]
    b, forms = Bench(a), [f for f in FORMS if f in forms]
    for f in forms: b.form(f)
    b.divergences(forms)
    b.table([b.measure(f) for f in forms])


if __name__ == "__main__":
    main()

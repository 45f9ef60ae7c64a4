#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nibble beside its peers: OpenVINO GenAI, ONNX Runtime GenAI and llama.cpp, each with its own 4-bit form of one
checkpoint, on one machine in one run. Prints a Markdown table: prompts and decoding in tokens a second, bytes, ratios.

usage: bench_peers.py NIBBLE MODEL_DIR OUT_DIR [options]

OUT_DIR keeps the forms, so that a run that was stopped goes on; `--export` makes them and measures nothing. Peers come by
pip, and one that is missing is left out with a note; those made by scripts need transformers and torch beside them:
    pip install openvino-genai 'optimum-intel[openvino]'
    pip install onnxruntime-genai onnx-ir transformers torch
    pip install xllamacpp numpy
Every program runs in a process of its own that stays, its model loaded, and they take turns: at each length, in each
round, each runs one prompt of random ids and decodes after it, while the others wait. So what changes on the machine meets
all alike; new ids in every round let no program know the prompt already. The least time of the rounds counts. nibble is
measured by `nibble bench`, once with the kernels it chooses and once for each of --cpus. Ratios are to the best peer of
each column. Prompts end with the logits of their last token, and a decoded token is picked greedily, but nibble's ends
with its logits, of which it picks in some 10 us.
"""
import argparse, importlib.metadata, importlib.util, json, os, random, shutil, subprocess, sys, time

from bench_out import cells, made

HERE = os.path.dirname(os.path.abspath(__file__))
GOALS = dict(prompt={512: 1.5, 2048: 1.5}, decode={512: 1.4, 2048: 1.6})  # nibble's speed over the best peer's


def ids(n, seed): return [random.Random(seed).randrange(3, 30000) for _ in range(n)]


def command(*args):
    print("+", *args, file=sys.stderr, flush=True)
    subprocess.run(args, check=True, stdout=sys.stderr)


# ---- the peers: how each makes its form of a checkpoint, and runs a prompt and some tokens after it ----


class OpenVINO:
    title, packages, file = "OpenVINO GenAI", ["openvino_genai"], "openvino"
    exporter, form = ["optimum.intel", "nncf"], "int4 symmetric, groups of 64"
    pip = "openvino-genai 'optimum-intel[openvino]'"

    def export(a, to):
        command(sys.executable, "-m", "optimum.commands.optimum_cli", "export", "openvino", "-m", a.model, "--task",
                "text-generation-with-past", "--weight-format", "int4", "--group-size", "64", "--sym", "--ratio", "1.0", to)

    def __init__(self, path, threads):
        import numpy, openvino, openvino_genai
        self.np, self.ov, self.genai = numpy, openvino, openvino_genai
        self.pipe = openvino_genai.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=threads)

    def __call__(self, prompt, tokens):
        rows = [self.ov.Tensor(self.np.array([x], self.np.int64)) for x in (prompt, [1] * len(prompt))]
        config = self.genai.GenerationConfig(max_new_tokens=tokens + 1, ignore_eos=True, do_sample=False)
        m = self.pipe.generate(self.genai.TokenizedInputs(*rows), config).perf_metrics
        assert m.get_num_generated_tokens() == tokens + 1
        return m.get_ttft().mean / 1e3, m.get_tpot().mean / 1e3 * tokens


class OnnxRuntime:
    title, packages, file = "ONNX Runtime GenAI", ["onnxruntime_genai"], "onnx"
    exporter, form = ["onnx_ir", "transformers", "torch"], "int4, blocks of 32, accuracy level 4, no window"
    pip = "onnxruntime-genai onnx-ir transformers torch"

    def export(a, to):
        """Of the checkpoint without its sliding window, beyond which this program fails. A window as long as the prompts
        saves next to nothing."""
        model = to + ".model"
        shutil.rmtree(model, ignore_errors=True)
        os.makedirs(model)
        for name in os.listdir(a.model):
            if name != "config.json": os.symlink(os.path.abspath(os.path.join(a.model, name)), os.path.join(model, name))
        config = json.load(open(os.path.join(a.model, "config.json")))
        with open(os.path.join(model, "config.json"), "w") as f: json.dump(dict(config, sliding_window=None), f)
        command(sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", model, "-o", to, "-p", "int4", "-e", "cpu",
                "-c", to + ".cache", "--extra_options", "int4_block_size=32", "int4_accuracy_level=4")
        for left in (model, to + ".cache"): shutil.rmtree(left, ignore_errors=True)

    def __init__(self, path, threads):
        import onnxruntime_genai
        self.genai = onnxruntime_genai
        config = onnxruntime_genai.Config(path)
        config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
        self.model = onnxruntime_genai.Model(config)

    def __call__(self, prompt, tokens):
        params, n = self.genai.GeneratorParams(self.model), len(prompt) + tokens + 1
        params.set_search_options(max_length=n, min_length=n, do_sample=False)
        generator = self.genai.Generator(self.model, params)
        start = time.perf_counter()
        generator.append_tokens(prompt)
        generator.generate_next_token()
        middle = time.perf_counter()
        for _ in range(tokens): generator.generate_next_token()
        return middle - start, time.perf_counter() - middle


class Llama:
    title, packages, file = "llama.cpp", ["xllamacpp"], "llama.gguf"
    exporter, form = [], "GGUF Q4_0"
    pip = "xllamacpp numpy"

    def export(a, to): command(a.nibble, "export", a.model, "--gguf", to, "--type", "q4_0", "-q")

    def __init__(self, path, threads):
        sys.path.insert(0, os.path.join(HERE, "golden"))
        import llama_lib
        self.model, self.threads = llama_lib.Model(llama_lib.library(), path), threads

    def __call__(self, prompt, tokens):  # ids of llama_lib's own
        speeds = self.model.speed(len(prompt), tokens, 1, self.threads)
        return len(prompt) / speeds[0], tokens / speeds[1]


PEERS = [OpenVINO, OnnxRuntime, Llama]


def serve(name, path, threads):
    """The process of one peer: a line [length, tokens, seed] is answered by a line [seconds, seconds]."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print
    try:
        run = next(p for p in PEERS if p.file == name)(path, threads)
        run(ids(16, 0), 2)  # compiles kernels, asks for memory
        print("[]", file=answers, flush=True)
        for line in sys.stdin:
            n, tokens, seed = json.loads(line)
            print(json.dumps(run(ids(n, seed), tokens)), file=answers, flush=True)
    except Exception as e:
        print(json.dumps(f"{type(e).__name__}: {e}"), file=answers, flush=True)


# ---- the programs as they are measured ----


class Program:
    def __init__(self, title, form, version, path):
        self.title, self.form, self.version, self.path, self.fault = title, form, version, path, None
        self.seconds = {}  # of prompts and decoding by length, of every round
        self.bytes = weight(path)

    def took(self, n, times):
        for what, t in zip(("prompt", "decode"), times): self.seconds.setdefault((what, n), []).append(t)

    def speed(self, what, n, tokens):
        times = self.seconds.get((what, n))
        return (n if what == "prompt" else tokens) / min(times) if times else None


class Peer(Program):
    def __init__(self, a, peer, path):
        versions = " + ".join(importlib.metadata.version(p) for p in peer.packages)
        super().__init__(peer.title, peer.form, versions, path)
        self.process = subprocess.Popen([sys.executable, __file__, "--serve", peer.file, path, str(a.threads)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        got = json.loads(line) if line else "its process ended"
        if isinstance(got, str):
            self.fault = got
            note(f"{self.title} fails: {got}")
        return got

    def measure(self, a, n, seed):
        if self.fault: return
        print(json.dumps([n, a.tokens, seed]), file=self.process.stdin, flush=True)
        times = self.answer()
        if not self.fault: self.took(n, times)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Nibble(Program):
    def __init__(self, a, path, cpu):
        version = subprocess.run([a.nibble, "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]
        super().__init__("nibble", "", version, path)
        self.cpu = ["--cpu", cpu] if cpu else []

    def measure(self, a, n, seed):
        """`seed` is not for it: it draws its own ids, and keeps nothing from one run to the next."""
        j = json.loads(subprocess.run(
            [a.nibble, "bench", self.path, "--prefill", str(n), "--decode", str(n), "--tokens", str(a.tokens), "--seconds",
             "0", "--threads", str(a.threads), "--json", "-q", *self.cpu], check=True, capture_output=True, text=True).stdout)
        self.form, self.machine = f"t4g64, head u6g64, cache {j['kv']}; kernels {j['kernels']}", j["cpu"]
        run = j["runs"][0]
        self.took(n, (n / run["prefill"][0]["tokens_per_s"], a.tokens / run["decode"][0]["tokens_per_s"]))
        self.limits = run["limits"]

    def close(self): pass


def weight(path):
    """Of a form's largest file and those as long as a tenth of it: the weights, not the tokenizer."""
    if os.path.isfile(path): return os.path.getsize(path)
    sizes = [os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(path) for f in files]
    return sum(s for s in sizes if 10 * s >= max(sizes))


def note(text): print("bench_peers.py:", text, file=sys.stderr, flush=True)


def here(modules):
    try:
        return all(importlib.util.find_spec(m) for m in modules)
    except ModuleNotFoundError:  # of the package that a module is in
        return False


def forms(a):
    """[peer, path] of those that are here and whose form is there or could be made."""
    out = []
    for p in PEERS:
        if a.peers and p.file.split(".")[0] not in a.peers.split(","): continue
        if not here(p.packages + ([] if os.path.exists(os.path.join(a.out, p.file)) else p.exporter)):
            note(f"{p.title} is left out: pip install {p.pip}")
            continue
        try:
            out.append((p, made(a.out, p.file, lambda to: p.export(a, to))))
        except subprocess.CalledProcessError as e:
            note(f"{p.title} is left out, its export ends with {e.returncode}")
    return out


def table(a, programs):
    columns = [(what, n) for what in ("prompt", "decode") for n in a.lengths]
    cells("program", "version", "form", "MB", *((f"prompt of {n:,}" if w == "prompt" else f"decoding after {n:,}") for w, n in columns))
    cells(*["---"] * (4 + len(columns)))
    for p in programs:
        speeds = [p.speed(w, n, a.tokens) for w, n in columns]
        cells(p.title, p.version, p.form, f"{p.bytes / 1e6:.0f}", *(f"{s:.1f}" if s else "fails" for s in speeds))
    peers = [p for p in programs if isinstance(p, Peer)]
    for p in programs:
        if isinstance(p, Peer) or not peers: continue
        ratios = []
        for w, n in columns:
            best = max((x.speed(w, n, a.tokens) or 0 for x in peers), default=0)
            goal, got = GOALS[w].get(n), p.speed(w, n, a.tokens) / best if best else None
            ratios.append("" if not got else f"**{got:.2f}**" + (f" (goal {goal})" if goal else ""))
        cells("nibble over the best peer", "", p.form.split("; ")[-1], f"{p.bytes / min(x.bytes for x in peers):.2f}", *ratios)


def report(a, programs, load):
    own = next(p for p in programs if isinstance(p, Nibble))
    words = (f"{own.machine}, {a.threads} threads, load {load:.1f} before; tokens/s, rounds in turns: {a.rounds}, the best counts, "
             f"{a.tokens} tokens decoded.")
    table(a, programs)
    print("\n" + words)
    for p in programs:
        if p.fault: print(f"\n{p.title} fails: {p.fault}")
    if not a.json: return
    rows = [dict(program=p.title, version=p.version, form=p.form, bytes=p.bytes, fault=p.fault,
                 seconds=[dict(what=w, length=n, rounds=t) for (w, n), t in p.seconds.items()]) for p in programs]
    with open(a.json, "w") as f:
        json.dump(dict(machine=own.machine, threads=a.threads, tokens=a.tokens, load=load, limits=own.limits, rows=rows), f, indent=1)


def main():
    if sys.argv[1:2] == ["--serve"]: return serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("nibble", "model", "out"): p.add_argument(name)
    p.add_argument("--peers", help="some of: " + ",".join(x.file.split(".")[0] for x in PEERS))
    p.add_argument("--lengths", default="512,2048", help="of prompts")
    p.add_argument("--tokens", type=int, default=32, help="decoded after each")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--minutes", type=float, default=60, help="begin no round that would end after so long (60)")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--cpus", default="", help="measure nibble also with each of these as --cpu, such as avx512vnni")
    p.add_argument("--export", action="store_true", help="make the forms, measure nothing")
    p.add_argument("--json", help="write all measurements to this file")
    a = p.parse_args()
    names = [x.file.split(".")[0] for x in PEERS]
    for x in a.peers.split(",") if a.peers else []:
        if x not in names: p.error(f"--peers: no peer is named {x}: {', '.join(names)}")
    a.lengths = [int(n) for n in a.lengths.split(",")]
    os.makedirs(a.out, exist_ok=True)
    quantize = lambda to: command(a.nibble, "quantize", a.model, "-o", to, "--fast", "--group", "64", "--head", "u6g64", "-q")
    own, others = made(a.out, "nibble.nbl", quantize), forms(a)
    if a.export: return
    load = os.getloadavg()[0]
    programs = [Nibble(a, own, cpu) for cpu in ["", *filter(None, a.cpus.split(","))]]
    programs += [Peer(a, peer, path) for peer, path in others]
    start, done = time.monotonic(), 0
    while done < a.rounds:
        for n in a.lengths:
            for x in programs: x.measure(a, n, done + 1)
        done, spent = done + 1, time.monotonic() - start
        note(f"round {done} of {a.rounds} ends after {spent:.0f} s")
        if spent * (done + 1) / done > 60 * a.minutes: a.rounds = done
    for x in programs: x.close()
    report(a, programs, load)


if __name__ == "__main__":
    main()

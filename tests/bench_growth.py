#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How time, memory and bytes grow, beside the law that each should follow: points, a fit, and where they part.

usage: bench_growth.py NIBBLE OUT_DIR [--only prompts,decode,...] [--LONG FILE ...] [--json F] [--svg F] >table.md

A section is measured when its input is given: --long (prompts, decode), --batch (together), --model with --data (eval),
--checkpoint with --calib (calibration), --sizes (sizes; BF16 checkpoints). OUT_DIR keeps one JSON a point, so that a run
that was stopped goes on, and sections may be measured apart, those that need a quiet machine by themselves; remove a
point's file to measure it again. Table, JSON and picture hold all points that are in OUT_DIR.

Times of prompts and tokens are those that nibble reports; of whole commands (eval, quantize) the processor seconds of all
their threads, which other programs on the machine change less. Peak memory is the process's (ru_maxrss: with the file's
pages). `share` is the processor time that the process got, of all that its threads could have had while it ran. Where a
time is the clock's and the share is below --min-share, other programs took the processors: such a point is kept and drawn
hollow, and the law is fitted without it. Laws are fitted by least squares on relative
errors, coefficients at least 0, and `worst` is the point with the largest ratio between measured and law, either way.
"""
import argparse, html, json, math, os, struct, subprocess, sys, time

from bench_out import cells, made

# Section: title, what x is, what y is, the law in words, its terms as powers of x.
SECTIONS = {
    "prompts": ("Prompt", "tokens of the prompt", "seconds", "a n + b n²", (1, 2)),
    "decode": ("Decoded token", "tokens in the cache", "seconds a token", "a + b n", (0, 1)),
    "together": ("Texts at once", "texts", "seconds a step of all", "a + b n", (0, 1)),
    "eval": ("Evaluation", "questions", "processor seconds", "a + b n", (0, 1)),
    "eval-alone": ("Evaluation, nothing shared", "questions", "processor seconds", "a + b n", (0, 1)),
    "calibration": ("Calibration", "tokens", "processor seconds", "a + b n", (0, 1)),
    "sizes": ("quantize --fast", "weights", "processor seconds", "a + b n", (0, 1)),
    "bytes": ("File", "weights", "bytes", "b n", (1,)),
    "sizes-decode": ("Decoded token by size", "weights", "seconds a token", "a + b n", (0, 1)),
}
CPU = ("eval", "eval-alone", "calibration", "sizes", "bytes")  # not the clock's times: any share will do
FROM = {"bytes": "sizes", "sizes-decode": "sizes", "eval-alone": "eval"}  # measured by another section's name
DECODED = 8


class Bench:
    def __init__(self, a):
        self.a = a
        self.part = os.path.join(a.out, f"part-{os.getpid()}.nbl")  # sections may run beside each other
        os.makedirs(a.out, exist_ok=True)

    def run(self, *args):
        """A run's report and its costs."""
        args = [self.a.nibble, *args, "-q", "--json"] + (["-t", str(self.a.threads)] if self.a.threads else [])
        print("+", *args, file=sys.stderr, flush=True)
        start = time.monotonic()
        child = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
        out = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        if child.returncode: sys.exit(f"bench_growth.py: exit {child.returncode}: {' '.join(args)}")
        threads = self.a.threads or len(os.sched_getaffinity(0))
        cpu = used.ru_utime + used.ru_stime
        scale = 1 if sys.platform == "darwin" else 1024
        costs = dict(wall=wall, cpu=cpu, share=cpu / wall / threads, peak=used.ru_maxrss * scale, load=os.getloadavg()[0])
        return json.loads(out) if out.strip() else {}, costs

    def point(self, section, x, measure):
        """Keeps OUT/SECTION.X.json: x, y and costs."""
        def write(to):
            y, costs = measure()
            with open(to, "w") as f: json.dump(dict(x=x, y=y, **costs), f)
        made(self.a.out, f"{section}.{x}.json", write)

    def bench(self, file, prompt, cache, part):
        j, costs = self.run("bench", file, "--prefill", str(prompt), "--decode", str(cache), "-n", str(DECODED),
                            "--seconds", str(self.a.seconds))
        r = j["runs"][0]
        more = dict(kv=r["memory_kv_bytes"], read=r["limits"]["read_bytes"]["per_s"], bytes_per_token=j["bytes_per_token"],
                    kv_a_token=j["kv_bytes_per_position"])
        return 1 / r[part][0]["tokens_per_s"], dict(costs, **more)

    def prompts(self):
        for n in self.a.prompts:
            def one():
                y, costs = self.bench(self.a.long, n, 0, "prefill")
                return y * n, costs
            self.point("prompts", n, one)

    def decode(self):
        for n in self.a.caches: self.point("decode", n, lambda: self.bench(self.a.long, 16, n, "decode"))

    def together(self):
        for n in self.a.texts:
            def one():
                j, costs = self.run("bench", self.a.batch, "--together", str(n), "--prefill", "64", "--decode", "0", "-n",
                                    str(DECODED), "--seconds", str(self.a.seconds))
                row = next(r for r in j["together"] if r["context"] == 0)
                return n / row["written_per_s"], costs
            self.point("together", n, one)

    def eval(self):
        a = self.a
        for name, more in (("eval", ()), ("eval-alone", ("--alone",))):
            for n in a.questions:
                def one():
                    j, costs = self.run("eval", a.model, "--data", a.data, "--task", a.task, "--sample", str(n), *more)
                    return costs["cpu"], dict(costs, tokens=sum(x["tokens"] for x in j["answers"]))
                self.point(name, n, one)

    def quantize(self, model, *more):
        to = self.part
        _, costs = self.run("quantize", model, "-o", to, "--force", *more)
        return costs["cpu"], dict(costs, bytes=os.path.getsize(to))

    def calibration(self):
        a = self.a
        for n in a.tokens:
            self.point("calibration", n, lambda: self.quantize(a.checkpoint, "--calib", a.calib, "--tokens", str(n)))
        if os.path.exists(self.part): os.remove(self.part)

    def sizes(self):
        for model in self.a.sizes.split(","):
            n = weights(model)
            if all(os.path.exists(os.path.join(self.a.out, f"{s}.{n}.json")) for s in ("sizes", "bytes", "sizes-decode")):
                continue
            y, costs = self.quantize(model, "--fast")
            self.point("sizes", n, lambda: (y, costs))
            self.point("bytes", n, lambda: (costs["bytes"], {}))
            self.point("sizes-decode", n, lambda: self.bench(self.part, 16, 0, "decode"))
            os.remove(self.part)


def weights(folder):
    """Numbers in a checkpoint's tensors."""
    total = 0
    for name in os.listdir(folder):
        if not name.endswith(".safetensors"): continue
        with open(os.path.join(folder, name), "rb") as f:
            head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        total += sum(math.prod(t["shape"]) for k, t in head.items() if k != "__metadata__")
    return total


def fit(points, powers):
    """Coefficients of sum(c x^p), least squares on relative errors, each at least 0: of all choices of terms whose
    coefficients come out so, that with the least error."""
    best = None
    for chosen in range(1, 1 << len(powers)):
        use = [i for i in range(len(powers)) if chosen >> i & 1]
        if len(use) > len(points): continue
        rows = [[p["x"] ** powers[i] / p["y"] for i in use] for p in points]
        m = [[sum(r[i] * r[j] for r in rows) for j in range(len(use))] for i in range(len(use))]
        v = [sum(r[i] for r in rows) for i in range(len(use))]
        if len(use) == 1: c = [v[0] / m[0][0]]
        else:
            d = m[0][0] * m[1][1] - m[0][1] * m[1][0]
            if d <= 1e-12 * m[0][0] * m[1][1]: continue
            c = [(v[0] * m[1][1] - v[1] * m[0][1]) / d, (v[1] * m[0][0] - v[0] * m[1][0]) / d]
        if min(c) < 0: continue
        error = sum((sum(k * x for k, x in zip(c, r)) - 1) ** 2 for r in rows)
        if best is None or error < best[0] * (1 - 1e-9):
            best = error, [c[use.index(i)] if i in use else 0.0 for i in range(len(powers))]
    return best[1]


def slope(points):
    """The exponent that the points themselves have: of y ~ x^e, over all with x > 0."""
    p = [(math.log(q["x"]), math.log(q["y"])) for q in points if q["x"] > 0]
    if len(p) < 2: return None
    mx, my = (sum(q[i] for q in p) / len(p) for i in (0, 1))
    return sum((x - mx) * (y - my) for x, y in p) / sum((x - mx) ** 2 for x, _ in p)


def law(s, x): return sum(c * x ** p for c, p in zip(s["coefficients"], s["powers"]))


def gather(out, least):
    """All that OUT holds, by section; points that got less than the share `least` are `disturbed`."""
    found = {}
    for name, (title, xlabel, ylabel, words, powers) in SECTIONS.items():
        files = [f for f in os.listdir(out) if f.startswith(name + ".") and f.endswith(".json")]
        points = sorted((json.load(open(os.path.join(out, f))) for f in files), key=lambda p: p["x"])
        for q in points: q["disturbed"] = name not in CPU and q["share"] < least
        fitted = [q for q in points if not q["disturbed"]]
        if len(fitted) < 2: continue
        s = dict(title=title, x=xlabel, y=ylabel, law=words, powers=powers, points=points, coefficients=fit(fitted, powers),
                 exponent=slope(fitted))
        for p in points: p["ratio"] = p["y"] / law(s, p["x"])
        worst = max(fitted, key=lambda p: abs(math.log(p["ratio"])))
        s["worst"] = dict(x=worst["x"], ratio=worst["ratio"])
        found[name] = s
    return found


def number(x):
    if x is None: return ""
    for unit, size in (("G", 1e9), ("M", 1e6)):
        if abs(x) >= size: return f"{x / size:.3g} {unit}"
    return f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"


def table(found):
    cells("what", "n", "measured", "law", "fitted", "exponent", "largest ratio to the law", "peak memory, MB", "share")
    cells(*["---"] * 9)
    for s in found.values():
        p, w = [q for q in s["points"] if not q["disturbed"]], s["worst"]
        of = lambda key, f: " to ".join(dict.fromkeys(f(q[key]) for q in (p[0], p[-1]))) if all(key in q for q in p) else ""
        least = f"{min(q['share'] for q in p):.2f} or more" if all("share" in q for q in p) else ""
        cells(s["title"], f"{s['x']}: {number(p[0]['x'])} to {number(p[-1]['x'])}",
              f"{number(p[0]['y'])} to {number(p[-1]['y'])} {s['y']}", s["law"],
              ", ".join(f"{k} = {c:.3g}" for k, c in zip(("a", "b") if len(s["powers"]) > 1 else "b", s["coefficients"])),
              number(s["exponent"]), f"{w['ratio']:.2f} at {number(w['x'])}", of("peak", lambda b: f"{b / 1e6:,.0f}"), least)


WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM = 310, 240, 52, 300, 24, 190
STYLE = """:root { color-scheme: light dark; --ink: #1b1f24; --page: #fff; --grid: #d5dae0; --dot: #0b62c4; --law: #b4480a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --page: #14171b; --grid: #3a4048; --dot: #6cb2ff; --law: #ffa264; } }
text { font: 11px system-ui, sans-serif; fill: var(--ink); } .h { font-size: 13px; font-weight: 600; }
.page { fill: var(--page); } .axis { stroke: var(--grid); } circle { fill: var(--dot); stroke: var(--dot); } .hollow { fill: none; }
polyline { stroke: var(--law); fill: none; stroke-width: 1.5; } .key { fill: var(--law); }"""


def panel(s, at):
    """One small picture, both axes logarithmic; a point at 0 stands at the left edge, which it names."""
    xs, ys = [p["x"] for p in s["points"]], [p["y"] for p in s["points"]]
    zero, above = min(xs) == 0, [x for x in xs if x > 0]
    lo, hi = (min(above) / 4 if zero else min(above)), max(above)
    ys = ys + [law(s, x) for x in xs]
    ylo, yhi = min(ys) / 1.15, max(ys) * 1.15
    px = lambda x: LEFT + (RIGHT - LEFT) * math.log(max(x, lo) / lo) / math.log(hi / lo)
    py = lambda y: BOTTOM - (BOTTOM - TOP) * math.log(y / ylo) / math.log(yhi / ylo)
    out = [f'<g transform="translate({at % 3 * (WIDE + 5)} {at // 3 * HIGH + 24})">',
           f'<text class="h" x="10" y="6">{html.escape(s["title"])}, {html.escape(s["y"])}</text>']
    for y in ticks(ylo, yhi):
        out.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{py(y):.1f}" y2="{py(y):.1f}" class="axis"/>')
        out.append(f'<text x="{LEFT - 5}" y="{py(y) + 4:.1f}" text-anchor="end">{number(y)}</text>')
    for x in [0] * zero + ticks(lo * (2 if zero else 1), hi):
        anchor = "end" if px(x) > RIGHT - 15 else "middle"
        out.append(f'<line x1="{px(x):.1f}" x2="{px(x):.1f}" y1="{TOP}" y2="{BOTTOM}" class="axis"/>')
        out.append(f'<text x="{px(x):.1f}" y="{BOTTOM + 14}" text-anchor="{anchor}">{number(x)}</text>')
    out.append(f'<text x="{RIGHT}" y="{BOTTOM + 29}" text-anchor="end">{html.escape(s["x"])}</text>')
    out.append(f'<text class="key" x="{LEFT}" y="{BOTTOM + 29}">{s["law"]}</text>')
    steps = [lo * (hi / lo) ** (i / 40) for i in range(41)]
    line = " ".join(f"{px(x):.1f},{py(law(s, x)):.1f}" for x in steps if ylo <= law(s, x) <= yhi)
    out.append(f'<polyline points="{line}"/>')
    for p in s["points"]:
        kind = ' class="hollow"' if p["disturbed"] else ""
        out.append(f'<circle cx="{px(p["x"]):.1f}" cy="{py(p["y"]):.1f}" r="3"{kind}><title>{number(p["x"])}: {number(p["y"])}, '
                   f'{p["ratio"]:.2f} of the law</title></circle>')
    return out + ["</g>"]


def ticks(lo, hi):
    """Powers of ten in a wide range, with 2 and 5 of each in a narrow one; at least both ends' nearest."""
    for steps in ((1,), (1, 2, 5), range(1, 10)):
        got = [k * 10.0 ** e for e in range(math.floor(math.log10(lo)), math.ceil(math.log10(hi)) + 1) for k in steps]
        got = [x for x in got if lo <= x * (1 + 1e-9) and x <= hi * (1 + 1e-9)]
        if len(got) >= (3 if len(steps) == 1 else 2): return got[:: 1 + len(got) // 7]
    return [lo, hi]


def svg(found):
    rows = -(-len(found) // 3)
    size = 3 * WIDE + 15, rows * HIGH + 24
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="How time and '
           'bytes grow: points measured, and the law of each as a line, both axes logarithmic">',
           f"<style>{STYLE}</style>", f'<rect class="page" width="{size[0]}" height="{size[1]}"/>']
    for i, s in enumerate(found.values()): out += panel(s, i)
    return "\n".join(out + ["</svg>", ""])


def numbers(text): return [int(x) for x in text.split(",")]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("nibble"), p.add_argument("out")
    p.add_argument("--only", help="some of: " + ",".join(s for s in SECTIONS if s not in FROM))
    p.add_argument("--long", help="a file of a long context: prompts, decode")
    p.add_argument("--prompts", type=numbers, default="128,256,512,1024,2048,4096,8192,16384,32768")
    p.add_argument("--caches", type=numbers, default="0,256,512,1024,2048,4096,8192,16384,32752")
    p.add_argument("--batch", help="a file: together")
    p.add_argument("--texts", type=numbers, default="1,2,4,8,16,32")
    p.add_argument("--model", help="a file, with --data: eval")
    p.add_argument("--data", help="questions"), p.add_argument("--task", default="arc_easy")
    p.add_argument("--questions", type=numbers, default="8,16,32,64,128")
    p.add_argument("--checkpoint", help="with --calib: calibration"), p.add_argument("--calib", help="a text")
    p.add_argument("--tokens", type=numbers, default="1024,2048,4096,8192,16384,32768")
    p.add_argument("--sizes", metavar="DIR,DIR", help="checkpoints of several sizes: sizes")
    p.add_argument("--seconds", type=float, default=1, help="bench repeats short measurements for so long (1)")
    p.add_argument("-t", "--threads", type=int)
    p.add_argument("--min-share", type=float, default=0.5, help="of the processors, for a point that is fitted (0.5)")
    p.add_argument("--json", help="all points and fits"), p.add_argument("--svg", help="the picture")
    a = p.parse_args()
    given = dict(prompts=a.long, decode=a.long, together=a.batch, eval=a.model and a.data,
                 calibration=a.checkpoint and a.calib, sizes=a.sizes)
    only = a.only.split(",") if a.only else [s for s in given if given[s]]
    for s in only:
        if s not in given: p.error(f"--only: no section is named {s}: {', '.join(given)}")
        if not given[s]: p.error(f"--only {s}: its input is not given, see --help")
    b = Bench(a)
    for s in only: getattr(b, s)()
    found = gather(a.out, a.min_share)
    table(found)
    if a.json:
        with open(a.json, "w") as f: json.dump(found, f, indent=1), f.write("\n")
    if a.svg:
        with open(a.svg, "w") as f: f.write(svg(found))


if __name__ == "__main__":
    main()

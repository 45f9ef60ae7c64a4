# SPDX-License-Identifier: MIT
# Counts what the AArch64 kernels take on a phone's cores, with llvm-mca's models of them, and from that and the bytes a
# token how many tokens a second a phone can reach. Makes the tables of docs/phone-speed.md.
# usage: python3 tests/phone_speed.py KERNELS_DIR LLVM_MCA >data/bench/phone-speed.json
#   KERNELS_DIR  neon.s, neon_dotprod.s, neon_i8mm.s: the kernels compiled by `make phone-speed`
# What is counted: the loop over a group of 64 inputs of one format and one token (decoding), the loop over the tokens of
# a prompt, and the two loops of attention over an 8-bit cache. llvm-mca takes every load from the nearest cache and
# every branch as predicted: so a count is the least that a core takes, and memory is counted beside it.
import json
import re
import subprocess
import sys

# Name, model and clock (GHz), as the makers publish it.
CORES = [
    ("A16, performance core", "neoverse-v2", 3.46),  # no model of its own: four 128-bit pipes, as this one
    ("the same by LLVM's model", "apple-a14", 3.46),  # which is that of Apple's A7: three pipes, no i8mm
    ("Cortex-X3", "neoverse-v2", 3.2),  # its sibling for servers; LLVM's own X3 is the A710's
    ("Cortex-A710", "cortex-a710", 2.8),
    ("Cortex-A510", "cortex-a510", 2.0),
    ("Cortex-A55", "cortex-a55", 1.8),
]
# Phones, by how many of which cores work at a time. Work goes to whoever is free, so that speeds add up.
PHONES = [
    ("iPhone 14 Pro (A16): 2 performance cores", [(0, 2)]),
    ("the same by LLVM's model", [(1, 2)]),
    ("Snapdragon 8 Gen 2: X3 and 4 middle cores", [(2, 1), (3, 4)]),
    ("2 middle cores A710 alone", [(3, 2)]),
    ("4 little cores A510 alone", [(4, 4)]),
    ("8 little cores A55", [(5, 8)]),
]
FORMATS = ["t3", "u3", "t4", "u4", "t5", "u5", "u6", "u7", "u8"]
ROUNDS = 200  # of a loop, for its steady state

# phi-3-mini: weights of the layers and of the head, layers, key/value heads, head_dim.
LAYERS_WEIGHTS, HEAD_WEIGHTS, LAYERS, HEADS, HEAD_DIM = 3623878656, 98500608, 32, 32, 96
FILE_BYTES_A_TOKEN = 1831171584  # of `--preset phone`, data/bench/phi3-mini.json: bytes_per_token
BANDWIDTH = 0.65 * 51.2e9


def functions(path):
    """Each function's instructions and labels, without directives."""
    name, body = None, []
    for line in open(path):
        s = line.split("//")[0].strip()
        start = re.match(r"^([a-zA-Z_][\w.]*):", line)
        if start:
            name, body = start[1], []
        elif re.match(r"^\.L\d+:", s):
            body.append(s)
        elif s.startswith(".size") and name:
            yield name, body
            name = None
        elif s and name and not s.startswith((".", "#")):
            body.append(s)


def loops(body):
    """Every (first, last) that a branch back closes."""
    at = {}
    for i, s in enumerate(body):
        if s.endswith(":"):
            at[s[:-1]] = i
        branch = re.match(r"(?:b\.?[a-z]*|cbn?z|tbn?z)\s.*?(\.L\d+)$", s)
        if branch and branch[1] in at:
            yield at[branch[1]], i


def count(region, pattern):
    return sum(1 for s in region if re.match(pattern, s))


def smallest(body, wanted):
    """The shortest loop that `wanted` takes, None without one."""
    found = [body[i : j + 1] for i, j in loops(body) if wanted(body[i : j + 1])]
    return min(found, key=len, default=None)


def inner(region):
    """The loop inside a loop, None without one."""
    found = [region[i : j + 1] for i, j in loops(region) if (i, j) != (0, len(region) - 1)]
    return min(found, key=len, default=None)


class Counter:
    """Cycles of one round of a loop by core model."""

    def __init__(self, mca):
        self.mca, self.known = mca, {}

    def cycles(self, region, model):
        if region is None:
            return 0.0
        text = "\n".join(s for s in region if not s.endswith(":") and not re.match(r"(b|cb|tb)", s.split()[0]) or
                         re.match(r"(bic|bif|bit|bsl)\b", s))
        key = (text, model)
        if key not in self.known:
            text = re.sub(r"\b(?:prfm)\s+.*", "nop", text)  # a model without prefetches refuses them
            run = subprocess.run(
                [self.mca, "-mtriple=aarch64-linux-gnu", "-mcpu=" + model, "-mattr=+dotprod,+i8mm,+fp-armv8,+neon",
                 "-iterations=%d" % ROUNDS, "-all-stats=false", "-all-views=false", "-summary-view", "-"],
                input=text, text=True, capture_output=True, check=False)
            total = re.search(r"Total Cycles:\s+(\d+)", run.stdout)
            if not total:
                sys.exit("llvm-mca, %s: %s" % (model, run.stderr[:500]))
            self.known[key] = int(total[1]) / ROUNDS
        return self.known[key]


def decode_loop(functions_, fmt):
    """One token, 64 inputs of a tile of 16 rows: its loop, and that over the two blocks of 32 in it, or None where the
    compiler wrote both out."""
    want = lambda r: ((count(r, r"sdot\b"), sum(s.endswith(":") for s in r)) in ((32, 2), (64, 1))
                      and count(r, r"scvtf\b") == 8 and not count(r, r"blr?\b"))
    loop = smallest(functions_["q8_" + fmt], want)
    if loop is None:
        sys.exit("q8_%s: the loop over one token is not there" % fmt)
    return loop, inner(loop)


def main():
    folder, mca = sys.argv[1:]
    asm = {k: dict(functions("%s/%s.s" % (folder, k))) for k in ("neon", "neon_dotprod", "neon_i8mm")}
    counter = Counter(mca)
    rows = []
    for name, model, ghz in CORES:
        row = {"core": name, "model": model, "ghz": ghz, "decode": {}, "prompt": {}}
        for fmt in FORMATS:
            loop, block = decode_loop(asm["neon_dotprod"], fmt)
            row["decode"][fmt] = (counter.cycles(loop, model) + counter.cycles(block, model)) / 1024
        for kernel, dot, tokens, products in (("neon_dotprod", "sdot", 3, 192), ("neon_i8mm", "smmla", 2, 64)):
            if kernel == "neon_i8mm" and model in ("apple-a14", "cortex-a55"):
                continue  # has no i8mm
            loop = smallest(asm[kernel]["q8_full64"], lambda r: count(r, dot) and count(r, r"scvtf\b"))
            part = inner(loop)
            left = products - count(loop, dot)  # those that more rounds of the inner loop make
            cycles = counter.cycles(loop, model) + (left / count(part, dot) * counter.cycles(part, model) if left else 0)
            row["prompt"][kernel] = cycles / (1024 * tokens)
        row["attention_q8"] = attention(asm["neon"], counter, model)
        rows.append(row)
    json.dump({"compiler": "gcc " + open(folder + "/compiler").read().strip(), "cycles": rows,
               "tokens_per_s": [speeds(name, [(rows[i], n) for i, n in cores]) for name, cores in PHONES]},
              sys.stdout, indent=1)
    print()


def attention(functions_, counter, model):
    """Cycles a byte of an 8-bit cache when one query meets it: the mean of keys and values, which are as many."""
    best = []
    for name, body in functions_.items():
        if not name.startswith(("attn", "attention")):
            continue
        for i, j in loops(body):
            r = body[i : j + 1]
            loads, dots = count(r, r"ld2\b"), count(r, r"smlal2?\b")
            if loads and dots == 8 * loads and count(r, r"sxtl2?\b|sshll2?\b") and inner(r) is None:
                best.append((counter.cycles(r, model) / (32 * loads), len(r)))
    if not best:
        sys.exit("the loops of attention over bytes are not there")
    return sum(c for c, _ in best) / len(best)


def speeds(name, cores):
    """Tokens a second: what the cores' cycles allow, for layers all of t4 and for layers half t4, half u5 (as a budget
    mixes them), and what memory allows, by context."""
    out = {"phone": name, "decode": []}
    out["prompt"] = sum(r["ghz"] * 1e9 * n / (min(r["prompt"].values()) * LAYERS_WEIGHTS) for r, n in cores)
    for context in (0, 1024, 2048):
        cache = context * LAYERS * HEADS * 2 * HEAD_DIM
        row = {"context": context, "by_memory": BANDWIDTH / (FILE_BYTES_A_TOKEN + cache + context * LAYERS * HEADS * 8)}
        for kind, other in (("t4", "t4"), ("t4_u5", "u5")):
            row["by_cores_" + kind] = sum(
                r["ghz"] * 1e9 * n / ((r["decode"]["t4"] + r["decode"][other]) / 2 * LAYERS_WEIGHTS
                                      + r["decode"]["u6"] * HEAD_WEIGHTS + r["attention_q8"] * cache)
                for r, n in cores)
        out["decode"].append(row)
    return out


if __name__ == "__main__":
    main()

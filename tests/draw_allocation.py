# SPDX-License-Identifier: MIT
"""Draws which slice of which layer got how many bits, and the loss that was left, as SVG (needs nothing but Python).

usage: nibble quantize ... --json > run.json; draw_allocation.py run.json > allocation.svg"""
import json
import sys

COLOUR = {"3": "#c6dbef", "4": "#6baed6", "5": "#2171b5", "6": "#08519c", "8": "#08306b", "d": "#333333"}
CELL, LEFT, TOP = 22, 60, 40


def main():
    run = json.load(open(sys.argv[1]))
    slots = ["q", "k", "v", "o", "gate", "up", "down"]
    layers = 1 + max(s["layer"] for s in run["slices"])
    width, height = LEFT + layers * CELL + 10, TOP + 2 * len(slots) * CELL + 90
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
           f'<text x="{LEFT}" y="16" font-size="13">Bits (colour) and group by layer: {run["linear_bpw"]:.3f} bits a weight</text>']
    worst = max(s["loss"] for s in run["slices"]) or 1
    for s in run["slices"]:
        row, x = slots.index(s["slot"]), LEFT + s["layer"] * CELL
        y = TOP + row * CELL
        bits, group = s["format"][1], s["format"].split("g")[-1] if "g" in s["format"][1:] else ""
        out.append(f'<rect x="{x}" y="{y}" width="{CELL - 1}" height="{CELL - 1}" fill="{COLOUR.get(bits, "#333333")}">'
                   f'<title>layer {s["layer"]} {s["slot"]}: {s["format"]}, loss {s["loss"]:.5f}</title></rect>')
        out.append(f'<text x="{x + 2}" y="{y + 14}" font-size="8" fill="{"#000" if bits in "34" else "#fff"}">{group}</text>')
        y += len(slots) * CELL + 40
        shade = 255 - int(215 * max(0, s["loss"]) / worst)
        out.append(f'<rect x="{x}" y="{y}" width="{CELL - 1}" height="{CELL - 1}" fill="rgb(255,{shade},{shade})">'
                   f'<title>layer {s["layer"]} {s["slot"]}: loss {s["loss"]:.5f}</title></rect>')
    below = TOP + len(slots) * CELL + 40
    out.append(f'<text x="{LEFT}" y="{below - 8}" font-size="13">Loss left, relative to the output (darkest {worst:.4f})</text>')
    for i, name in enumerate(slots):
        for top in (TOP, below):
            out.append(f'<text x="{LEFT - 6}" y="{top + i * CELL + 15}" text-anchor="end">{name}</text>')
    for i, (bits, colour) in enumerate(list(COLOUR.items())[:5]):
        out.append(f'<rect x="{LEFT + 70 * i}" y="{height - 30}" width="14" height="14" fill="{colour}"/>'
                   f'<text x="{LEFT + 70 * i + 18}" y="{height - 19}">{bits} bits</text>')
    print("\n".join(out) + "\n</svg>")


if __name__ == "__main__":
    main()

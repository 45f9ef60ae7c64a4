# SPDX-License-Identifier: MIT
"""Derives the default tables of lib/quant/quant.c (needs numpy): 8, 16 and 32 int8 values for weights in groups that share a
scale. Groups of 128 are drawn from a Gaussian whose spread varies a little along the group (trained rows are slightly
heavier-tailed than a Gaussian); then two steps alternate: each group takes the scale, of either sign, that loses least
(least squares after each candidate's rounding), and the table takes the weighted means of what fell to each entry
(Lloyd-Max). The result is scaled to a largest magnitude of 127 and rounded. Because the sign of the scale is free, the
tables come out asymmetric: the group's largest weight goes to the end that suits the rest. Tables of trellis codes
(lib/base/qmat.h) are derived likewise, with scales that fit the means of neighbouring values, and the best path of 16 rows.

usage: make_tables.py"""
import numpy as np

G, N = 128, 3000


def nearest(x, t):
    return np.searchsorted((t[1:] + t[:-1]) / 2, x)


def fit_scales(w, t, steps=16):
    peak = np.abs(w).max(1)
    best, scale = np.full(len(w), np.inf), np.ones(len(w))
    for sign in (1, -1):
        for f in np.linspace(0.75, 1.2, steps):
            s = sign * peak / (np.abs(t).max() * f)
            v = t[nearest(w / s[:, None], t)]
            num, den = (w * v).sum(1), np.maximum((v * v).sum(1), 1e-30)
            err = (w * w).sum(1) - num * num / den
            better = err < best
            best[better], scale[better] = err[better], (num / den)[better]
    return scale, best


def derive(levels, rng):
    w = rng.standard_normal((N, G)) * np.exp(0.15 * rng.standard_normal((N, G)))
    t = np.linspace(-1, 0.93, levels)
    for _ in range(40):
        s, _ = fit_scales(w, t)
        x, weight = (w / s[:, None]).ravel(), np.repeat(s * s, G)
        c = nearest(x, t)
        t = np.bincount(c, weight * x, levels) / np.bincount(c, weight, levels)
        t /= np.abs(t).max()
    t = np.round(t * 127)
    _, err = fit_scales(w, t)
    return t.astype(int), err.sum() / (w * w).sum()


def best_path(cost):
    """Of (n, 16, 4), the cost of each row of a ring at each kind of level, 2 s + the lowest bit: the kinds of the best
    path, (n, 16). A state is the lowest bits of two neighbours, 2 a + b."""
    n = len(cost)
    total, kinds = np.full(n, np.inf), np.zeros((n, 16), int)
    for start in range(4):
        best = np.full((n, 4), np.inf)
        best[:, start] = 0
        came = np.zeros((16, n, 4), int)
        for i in range(16):
            step = np.empty_like(best)
            for b in (0, 1):
                for after in (0, 1):
                    p = best[:, b] + cost[:, i, 2 * after + b]
                    q = best[:, 2 + b] + cost[:, i, 2 * (1 - after) + b]
                    step[:, 2 * b + after], came[i, :, 2 * b + after] = np.minimum(p, q), q < p
            best = step
        path, s = np.zeros((n, 16), int), np.full(n, start)
        for i in range(15, -1, -1):
            a, b, after = came[i, np.arange(n), s], s >> 1, s & 1
            path[:, i] = 2 * (a ^ after) + b
            s = 2 * a + b
        better = best[:, start] < total
        total[better], kinds[better] = best[better, start], path[better]
    return kinds


def derive_trellis(bits, rng):
    levels = 2 << bits
    w = rng.standard_normal((1600, G)) * np.exp(0.15 * rng.standard_normal((1600, G)))
    t = np.linspace(-1, 0.93, levels)
    for _ in range(30):
        s, _ = fit_scales(w, (t[0::2] + t[1::2]) / 2)
        x = (w / s[:, None]).reshape(-1, 16, G).transpose(0, 2, 1).reshape(-1, 16)
        weight = np.repeat((s * s).reshape(-1, 1, 16), G, 1).reshape(-1, 16)
        each = np.stack([4 * nearest(x, t[j::4]) + j for j in range(4)], -1)
        kind = best_path(weight[..., None] * (x[..., None] - t[each]) ** 2)
        level = np.take_along_axis(each, kind[..., None], -1)[..., 0]
        loss = (weight * (x - t[level]) ** 2).sum() / (weight * x * x).sum()
        t = np.bincount(level.ravel(), (weight * x).ravel(), levels) / np.bincount(level.ravel(), weight.ravel(), levels)
        t = np.sort(t / np.abs(t).max())
    return np.round(t * 127).astype(int), loss


if __name__ == "__main__":
    for bits in (3, 4, 5):
        t, loss = derive(1 << bits, np.random.default_rng(bits))
        print(f"{bits} bits, relative loss {loss:.5f}: " + ", ".join(map(str, t)))
    for bits in (3, 4, 5):
        t, loss = derive_trellis(bits, np.random.default_rng(bits))
        print(f"{bits} bits, trellis, relative loss {loss:.5f}: " + ", ".join(map(str, t)))

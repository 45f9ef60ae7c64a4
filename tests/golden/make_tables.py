# SPDX-License-Identifier: MIT
"""Derives the default tables of lib/quant/quant.c (needs numpy): 8, 16 and 32 int8 values for weights in groups that share a
scale. Groups of 128 are drawn from a Gaussian whose spread varies a little along the group (trained rows are slightly
heavier-tailed than a Gaussian); then two steps alternate: each group takes the scale, of either sign, that loses least
(least squares after each candidate's rounding), and the table takes the weighted means of what fell to each entry
(Lloyd-Max). The result is scaled to a largest magnitude of 127 and rounded. Because the sign of the scale is free, the
tables come out asymmetric: the group's largest weight goes to the end that suits the rest.

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


if __name__ == "__main__":
    for bits in (3, 4, 5):
        t, loss = derive(1 << bits, np.random.default_rng(bits))
        print(f"{bits} bits, relative loss {loss:.5f}: " + ", ".join(map(str, t)))

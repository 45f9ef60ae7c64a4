#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goldens of GPTQ: tests/golden/gptq.json, by NumPy and SciPy in double precision (`pip install numpy scipy`).

Written from the paper (Frantar et al., arXiv 2210.17323, algorithm 1): H = X^T X, damped by a part of its mean
diagonal; columns by falling diagonal; with the Cholesky factor H^-1 = U^T U, column after column is rounded and its
error over U[i, i], times the row U[i, i:], is taken from the columns that follow. Groups are static: a step for each
row and group, known before.

nibble searches its own steps. So that it has to find the ones used here, the weights are codes times a step that its
formats can hold, plus noise of less than half a step that is orthogonal to the codes under the diagonal of H: the
least-squares step is then the true one. Where a decision of the reference is nearer to the middle between two codes
than TIE steps, single precision may decide otherwise, and all later columns of that row follow: "ties" says at which
of a row's decisions that may first happen.
"""
import json
from pathlib import Path

import numpy as np
from scipy import linalg

TIE = 2e-3


def inputs(rng, T, K):
    """Correlated, some channels 20 times as large as others, small whole numbers."""
    x = rng.normal(size=(T, K // 3)) @ rng.normal(size=(K // 3, K)) + 0.3 * rng.normal(size=(T, K))
    x *= np.exp(rng.normal(size=K))
    x[:, 7] *= 8
    return np.clip(np.rint(x * 6), -127, 127)


def weights(rng, N, K, bits, group, importance):
    low = -(1 << bits - 1)
    step = 127 * 2.0 ** -9 * (1 + np.arange(N)[:, None] / 128)
    w = np.empty((N, K))
    for n in range(N):
        for k in range(0, K, group):
            codes = rng.integers(low, -low, size=group)
            codes[rng.permutation(group)[:2]] = low, -low - 1
            noise = rng.uniform(-0.3, 0.3, size=group)
            h = importance[k:k + group]
            noise -= codes * (h * noise * codes).sum() / (h * codes * codes).sum()
            assert np.abs(noise).max() < 0.45
            w[n, k:k + group] = codes + noise
    return (w * step).astype(np.float32).astype(float), step


def gptq(w, x, step, bits, damp):
    H = x.T @ x
    order = np.argsort(-np.diag(H), kind="stable")
    H += damp * np.diag(H).mean() * np.eye(len(H))
    U = linalg.cholesky(linalg.inv(H[np.ix_(order, order)]), lower=False)
    rest, low = w[:, order].copy(), -(1 << bits - 1)
    codes, ties = np.empty(w.shape, int), np.full(len(w), w.shape[1])
    for i, k in enumerate(order):
        z = rest[:, i] / step[:, 0]
        c = np.clip(np.rint(z), low, -low - 1)
        near = (np.abs(np.abs(z - np.floor(z)) - 0.5) < TIE) & (z > low) & (z < -low - 1)
        ties[near & (ties > i)] = i
        e = (rest[:, i] - c * step[:, 0]) / U[i, i]
        rest[:, i:] -= np.outer(e, U[i, i:])
        codes[:, k] = c - low
    d = w - step * (codes + low)
    loss = np.einsum("nk,kl,nl->n", d, H, d)
    plain = np.clip(np.rint(w / step), low, -low - 1) - low
    return order, codes, ties, loss, plain


def main():
    rng, out = np.random.default_rng(7), []
    for bits, N, K, T, group, damp in [(4, 16, 64, 96, 32, 0.01), (3, 16, 64, 80, 64, 0.001)]:
        x = inputs(rng, T, K)
        diag = (x * x).sum(0)
        w, step = weights(rng, N, K, bits, group, diag + 1e-4 * diag.mean())
        order, codes, ties, loss, plain = gptq(w, x, step, bits, damp)
        changed = (codes != plain).mean()
        print(f"{bits} bits: {changed:.0%} of the codes are not the nearest; {np.mean(ties == K):.0%} of the rows without a tie")
        assert changed > 0.15 and (ties == K).mean() > 0.4
        out.append({"bits": bits, "group": group, "rows": N, "inputs": K, "tokens": T, "damp": damp,
                    "x": x.astype(int).ravel().tolist(), "w": [float(f"{v:.9g}") for v in w.ravel()],
                    "step": step.ravel().tolist(), "order": order.tolist(), "codes": codes.ravel().tolist(),
                    "ties": ties.tolist(), "loss": loss.tolist()})
    text = json.dumps(out, separators=(",", ":")).replace('"w"', '\n"w"').replace('"codes"', '\n"codes"')
    Path(__file__).with_name("gptq.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

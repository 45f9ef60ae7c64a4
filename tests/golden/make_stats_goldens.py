#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goldens of statistics: tests/golden/stats.json, by scipy and statsmodels (`pip install scipy statsmodels`).

Tango's statistic is in neither: here its constrained likelihood is maximised numerically, which is its definition.
"""
import json
from pathlib import Path

import numpy as np
from scipy import optimize, special, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint


def tango(gained, lost, n, delta):
    """Score statistic for P(gained) - P(lost) = delta: the multinomial likelihood is maximised under it."""
    def loss(lost_p):
        p = np.array([lost_p + delta, lost_p, 1 - 2 * lost_p - delta])
        x = np.array([gained, lost, n - gained - lost])
        if (p < 0).any() or ((p == 0) & (x > 0)).any():
            return np.inf
        return -np.sum(special.xlogy(x, p))
    low, high = max(0, -delta), (1 - delta) / 2
    best = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    var = n * (2 * best + delta - delta ** 2)
    return (gained - lost - n * delta) / np.sqrt(var)


def main():
    rng = np.random.default_rng(5)
    out = {}
    out["wilson"] = [[k, n, level, *map(float, proportion_confint(k, n, 1 - level, method="wilson"))]
                     for k, n in [(0, 10), (10, 10), (7, 10), (69, 100), (9700, 14042), (1, 3)] for level in (0.9, 0.95)]
    out["normal"] = [[p, float(stats.norm.ppf(p))] for p in (1e-9, 0.01, 0.05, 0.3, 0.5, 0.8, 0.975, 1 - 1e-7)]
    out["binomial"] = [[k, n, p, float(stats.binom.cdf(k, n, p))] for k, n, p in
                       [(0, 5, 0.5), (3, 10, 0.5), (40, 100, 0.5), (480, 1000, 0.5), (2, 7, 0.1), (7, 7, 0.3)]]
    out["mcnemar"] = [[b, c, float(mcnemar([[0, b], [c, 0]], exact=True).pvalue)] for b, c in
                      [(0, 0), (1, 0), (5, 5), (5, 12), (12, 5), (40, 80), (500, 560), (0, 20)]]
    out["tango"] = [[b, c, n, m, float(tango(b, c, n, -m))] for b, c, n, m in
                    [(10, 20, 500, 0.01), (20, 10, 500, 0.01), (500, 620, 14042, 0.01), (3, 9, 100, 0.05), (1, 1, 50, 0.1),
                     (0, 6, 200, 0.02), (6, 0, 200, 0.02), (300, 300, 5000, 0.005)]]
    p = np.sort(rng.uniform(0, 1, 20) ** 3)[rng.permutation(20)]
    p[3] = p[4]
    out["p"] = p.tolist()
    out["holm"] = multipletests(p, method="holm")[1].tolist()
    out["bh"] = multipletests(p, method="fdr_bh")[1].tolist()
    a, b = rng.dirichlet([1] * 5), rng.dirichlet([1] * 5)
    out["a"], out["b"] = a.tolist(), b.tolist()
    out["kl"], out["tv"] = float(stats.entropy(a, b)), float(np.abs(a - b).sum() / 2)
    x = np.sort(rng.normal(size=17))
    out["x"], out["quantiles"] = x.tolist(), [[q, float(np.quantile(x, q))] for q in (0, 0.05, 0.5, 0.9, 1)]
    diff = rng.choice([-1, 0, 1], size=400, p=[0.06, 0.9, 0.04]).astype(float)
    boot = stats.bootstrap((diff,), np.mean, n_resamples=20000, confidence_level=0.9, method="percentile", rng=rng)
    out["diff"] = diff.astype(int).tolist()
    out["bootstrap"] = [float(diff.mean()), float(boot.standard_error), *map(float, boot.confidence_interval)]
    clusters = np.sort(rng.integers(0, 20, size=400))
    sums = np.array([[diff[clusters == k].sum(), (clusters == k).sum()] for k in range(20)])
    picks = rng.integers(0, 20, size=(20000, 20))
    means = sums[picks, 0].sum(1) / sums[picks, 1].sum(1)
    out["cluster"] = clusters.tolist()
    out["clustered"] = [float(diff.mean()), float(means.std(ddof=1)), *map(float, np.quantile(means, [0.05, 0.95]))]
    Path(__file__).with_name("stats.json").write_text(json.dumps(out) + "\n")


main()

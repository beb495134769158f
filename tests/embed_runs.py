"""Run folders as `embed` leaves them, of made-up maps of any size; for tests of what draws and serves them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd

from neandl_core.files import write_json
from neandl_core.kmer_space import kmer_properties
from neandl_core.runs import RunState, write_state


def make_embed_run(
    folder: Path, k: int, *, seed: int = 0, method: str = "pca", unseen: float = 0.1, title: str = "A map"
) -> pd.DataFrame:
    """Write a finished run of all k-mers: x follows the GC content, y is random, some were never seen."""
    rng = np.random.default_rng([seed, k])
    folder.mkdir(parents=True)
    points = kmer_properties(np.arange(4**k), k)
    count = len(points)
    seen = rng.random(count) >= unseen
    points["x"] = (4 * (points["gc"] - 0.5) + rng.normal(0, 0.15, count)).astype(np.float32)
    points["y"] = rng.normal(0, 0.8, count).astype(np.float32)
    points["frequency"] = np.where(seen, rng.integers(1, 500, count), 0)
    points["seen"] = seen.astype(np.int8)
    points["cluster"] = np.where(seen, rng.integers(0, 8, count), -1).astype(np.int16)
    points["fitted"] = points["seen"]
    points.to_parquet(folder / "points.parquet", index=False)
    np.save(folder / "vectors.npy", rng.normal(size=(count, 4)).astype(np.float32))
    verdict = {"signal": "clear", "sentence": "Made up for a test."}
    summary = {
        "simulated": True, "model": {"folder": str(folder.parent / "model"), "preset": "bilstm", "verdict": verdict},
        "method": method, "dimensions": 2, "k": k, "learnt": True, "points": count, "seen": int(seen.sum()),
        "unseen": int((~seen).sum()), "fitted": int(seen.sum()), "vectors": "made up", "dimensions_before": 4,
        "trustworthiness": 0.9, "clusters": "k-means", "fitted_to": "all", "projector": 0, "importance": False,
        "notes": [], "seconds": 1.0,
    }
    if method == "pca":
        summary["explained_variance"] = [0.6, 0.2]
    write_json(folder / "summary.json", summary)
    now = time.time()
    write_state(folder, RunState("done", "embed", title=title, queued=now, started=now, finished=now))
    return points

"""Which genes to call: calibrated probabilities, and a false-discovery rate against what depleted sequence scores.

The null distribution of a gene's mean comes from the held-out test part: depleted windows, ten neighbours at a time,
all from one locus, as many as the gene has. So it knows that windows of one place resemble each other. A gene's p is
the share of such pseudo-genes that score as high; Benjamini and Hochberg's step-up (1995) turns them into q values.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.calibration import scaled

BLOCK_WINDOWS = 10
"""Neighbouring windows that count as one, for intervals too."""
FEW_LOCI = 20
"""Below so many depleted loci in the test part the false-discovery rate is called rough; below 3 there is none."""
_DRAWS = 20_000
FDR_METHOD = (
    "p of a gene: how often pseudo-genes of as many windows, drawn in blocks of "
    f"{BLOCK_WINDOWS} from one held-out depleted locus each, score as high; q by Benjamini and Hochberg"
)
CALIBRATION_METHOD = (
    "logistic regression of the class of held-out loci on the log-odds of their mean, both classes weighing the same"
)


@dataclass(frozen=True)
class HeldOut:
    """What the model said of the loci of its test part.

    Attributes
    ----------
    loci
        One row per locus: `label`, `windows`, `mean`.
    depleted
        Probabilities of each depleted locus's windows, in their order.
    signal
        The verdict on the model: none, weak, clear or "".
    """

    loci: pd.DataFrame
    depleted: list[np.ndarray]
    signal: str


def held_out(run: Path, signal: str) -> HeldOut | None:
    """Read the test predictions of a `train` run; None if it kept none.

    Parameters
    ----------
    run
        The run's folder.
    signal
        ``verdict.signal`` of its summary.
    """
    path = run / "predictions.parquet"
    if not path.is_file():
        return None
    table = pd.read_parquet(path).sort_values("example", kind="stable")
    by_locus = table.groupby("locus", sort=True)
    loci = by_locus.agg(label=("label", "first"), windows=("label", "size"), mean=("probability", "mean"))
    zeros = table[table["label"] == 0]
    depleted = [rows["probability"].to_numpy(float) for _, rows in zeros.groupby("locus", sort=True)]
    return HeldOut(loci.reset_index(), depleted, signal)


def q_values(genes: pd.DataFrame, known: HeldOut | None, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """Return `p_value` and `q_value` of every gene, blank where it has no score or there is nothing to compare with.

    Parameters
    ----------
    genes
        `probability` and `windows`.
    """
    blank = pd.DataFrame({"p_value": np.nan, "q_value": np.nan}, index=genes.index)
    if known is None or len(known.depleted) < 3:
        return blank, ["There is no false-discovery rate: no depleted loci are held out to compare genes with."]
    rng = np.random.default_rng([seed, 31])
    sizes = genes["windows"].to_numpy()
    classes = np.where(sizes < BLOCK_WINDOWS, sizes, 0)
    blocks = np.maximum(1, -(-sizes // BLOCK_WINDOWS))
    # Fewer blocks spread more, so rounding down to a power of two errs on the careful side.
    rounded = 1 << np.floor(np.log2(blocks)).astype(int)
    key = np.where(classes > 0, classes, BLOCK_WINDOWS * rounded)
    p = np.full(len(genes), np.nan)
    score = genes["probability"].to_numpy(float)
    for size in np.unique(key[sizes > 0]):
        here = (key == size) & (sizes > 0)
        null = np.sort(_pseudo_genes(known.depleted, int(size), rng))
        p[here] = (1 + len(null) - np.searchsorted(null, score[here], "left")) / (len(null) + 1)
    notes = [f"False-discovery rate: {FDR_METHOD}. It rests on {len(known.depleted):,} depleted loci."]
    if len(known.depleted) < FEW_LOCI:
        notes.append(f"Only {len(known.depleted)} depleted loci are held out: the false-discovery rate is rough.")
    return blank.assign(p_value=p, q_value=benjamini_hochberg(p)), notes


def _pseudo_genes(loci: list[np.ndarray], windows: int, rng: np.random.Generator) -> np.ndarray:
    """Return the means of pseudo-genes of so many windows, each from one locus, as often as there are loci to draw."""
    per_locus = -(-_DRAWS // len(loci))
    means = []
    for probability in loci:
        if windows < BLOCK_WINDOWS:
            drawn = probability[rng.integers(0, len(probability), (per_locus, windows))]
        else:
            edges = np.arange(0, len(probability), BLOCK_WINDOWS)
            block = np.add.reduceat(probability, edges) / np.diff(edges, append=len(probability))
            drawn = block[rng.integers(0, len(block), (per_locus, windows // BLOCK_WINDOWS))]
        means.append(drawn.mean(axis=1))
    return np.concatenate(means)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Return q values of p values; NaN stays NaN and counts for nothing."""
    q = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(-p[known], kind="stable")]
    rank = len(order) - np.arange(len(order))
    q[order] = np.minimum(np.minimum.accumulate(p[order] * len(order) / rank), 1) if len(order) else []
    return q


def calibrated(genes: pd.DataFrame, known: HeldOut | None) -> tuple[pd.DataFrame, dict[str, Any] | None, list[str]]:
    """Return `calibrated`, `calibrated_low` and `calibrated_high`, blank if the test part does not allow it.

    It is allowed where the model has a signal and at least ten loci of either class are held out.

    Parameters
    ----------
    genes
        `probability`, `low`, `high`.

    Returns
    -------
    columns
        As named above.
    fitted
        `slope`, `intercept`, `loci`; None if it is not allowed.
    notes
        Why not, or how.
    """
    names = ["calibrated", "calibrated_low", "calibrated_high"]
    blank = pd.DataFrame(np.nan, index=genes.index, columns=names)
    if known is None or known.signal not in ("weak", "clear"):
        return blank, None, ["Probabilities are not calibrated: the model has no signal on held-out loci."]
    labels = known.loci["label"].to_numpy()
    if min((labels == 0).sum(), (labels == 1).sum()) < 10:
        return blank, None, ["Probabilities are not calibrated: fewer than ten loci of a class are held out."]
    from sklearn.linear_model import LogisticRegression

    sure = np.clip(known.loci["mean"].to_numpy(float), 1e-6, 1 - 1e-6)
    model = LogisticRegression(C=1e4, class_weight="balanced").fit(np.log(sure / (1 - sure))[:, None], labels)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        return blank, None, ["Probabilities are not calibrated: held-out loci are ranked upside down."]
    columns = pd.DataFrame({
        name: np.where(genes[of].isna(), np.nan, scaled(genes[of].fillna(0.5).to_numpy(), slope, intercept))
        for name, of in zip(names, ("probability", "low", "high"), strict=True)
    }, index=genes.index)
    return columns, {"slope": slope, "intercept": intercept, "loci": len(labels)}, [
        f"Calibrated probabilities: {CALIBRATION_METHOD} ({len(labels):,} loci)."
    ]

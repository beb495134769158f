"""Permutation importance: what a model's test score loses when one part of the windows is shuffled between them.

The importance of a place is what the score loses on average over repeats. Its *spread* is the standard deviation over
the repeats, which more repeats average out; its *interval* comes from resampling the loci of the test windows, which
only more loci make smaller. Both are given, as either alone looks surer than it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neandl_core.encoding import kmer_codes, kmer_counts, kmer_text
from neandl_core.metrics import auc
from neandl_core.models.logistic import KmerLogistic
from neandl_core.models.trees import KmerForest, TreeModel
from neandl_core.models.word_vectors import KmerVectors
from neandl_core.schemas import KMER_WEIGHTS, POSITION_IMPORTANCE, check_table

if TYPE_CHECKING:
    from neandl_core.models.bilstm import BiLSTM
    from neandl_core.models.store import Model

LogOdds = Callable[[np.ndarray], np.ndarray]
"""Takes (n, width) codes, returns (n,) log-odds of label 1."""
PUBLISHED_LOSS = 0.01
"""The published recipe calls a position important whose shuffling costs more than this share of right answers."""
BOOTSTRAP = 1000
_Z = 1.96


@dataclass(frozen=True)
class Shuffled:
    """A model's answers to windows as they are, and with one part shuffled.

    Attributes
    ----------
    unit
        ``k-mer``: one k-mer of the sequence that the model reads, its neighbours left as they are; ``bases``: a
        stretch of bases, so that the windows stay sequences that could exist.
    starts, ends
        (units,) first base of each part and one past its last.
    plain
        (n,) log-odds of the windows as they are.
    changed
        (repeats, units, n) log-odds with the part shuffled.
    """

    unit: str
    starts: np.ndarray
    ends: np.ndarray
    plain: np.ndarray
    changed: np.ndarray


def shuffle_kmers(
    network: BiLSTM, codes: np.ndarray, repeats: int, rng: np.random.Generator,
    on_windows: Callable[[int], None] | None = None,
) -> Shuffled:
    """Shuffle the k-mers at each place between windows, one place at a time, as the published analysis did.

    Parameters
    ----------
    network
        A BiLSTM.
    codes
        (n, width) codes of bases.
    repeats
        Shuffles of each place.
    rng
        Source of the shuffles.
    on_windows
        Told how many windows are done since the last call.
    """
    from neandl_core.models.shuffling import exchanged_logits

    columns = kmer_codes(codes, network.k).T
    exchanged = np.stack([rng.permuted(columns, axis=1) for _ in range(repeats)]).astype(np.int32)
    plain, changed = exchanged_logits(network, codes, exchanged, on_windows)
    starts = np.arange(len(columns))
    return Shuffled("k-mer", starts, starts + network.k, plain, changed)


def shuffle_bases(
    log_odds: LogOdds, codes: np.ndarray, block: int, repeats: int, rng: np.random.Generator,
    on_windows: Callable[[int], None] | None = None,
) -> Shuffled:
    """Shuffle stretches of `block` bases between windows, one stretch at a time; for a model of any kind.

    Parameters
    ----------
    log_odds
        The model.
    codes
        (n, width) codes of bases.
    block
        Bases in a stretch; the last one may be shorter.
    repeats, rng, on_windows
        As of `shuffle_kmers`; each answer to a window counts as one window done.
    """
    count, width = codes.shape
    starts = np.arange(0, width, block)
    ends = np.minimum(starts + block, width)
    plain = log_odds(codes)
    changed = np.empty((repeats, len(starts), count), np.float32)
    turned = np.array(codes)
    for repeat in range(repeats):
        for unit, (start, end) in enumerate(zip(starts, ends, strict=True)):
            turned[:, start:end] = codes[rng.permutation(count), start:end]
            changed[repeat, unit] = log_odds(turned)
            turned[:, start:end] = codes[:, start:end]
            if on_windows is not None:
                on_windows(count)
    return Shuffled("bases", starts, ends, plain, changed)


def importance_table(
    shuffled: Shuffled, labels: np.ndarray, loci: np.ndarray, rng: np.random.Generator, samples: int = BOOTSTRAP
) -> pd.DataFrame:
    """Turn answers into losses of accuracy, AUC and log-likelihood, each with its spread.

    Parameters
    ----------
    shuffled
        Answers to the same windows, as they are and shuffled.
    labels
        (n,) of 0 and 1.
    loci
        (n,) locus of each window.
    rng
        Source of the resampled loci.
    samples
        Resamplings.

    Returns
    -------
    DataFrame
        Table `POSITION_IMPORTANCE`.
    """
    labels = np.asarray(labels)
    right = (shuffled.plain > 0) == (labels == 1)
    sign = np.where(labels == 1, 1.0, -1.0)
    loss = np.logaddexp(0, -sign * shuffled.plain)
    area = auc(labels, shuffled.plain)
    repeats, units, count = shuffled.changed.shape
    accuracy, surprise, areas = (np.empty((repeats, units)) for _ in range(3))
    lost_right, lost_sure = np.zeros((units, count), np.float32), np.zeros((units, count), np.float32)
    for repeat, unit in np.ndindex(repeats, units):
        answer = shuffled.changed[repeat, unit]
        worse = right.astype(np.float64) - ((answer > 0) == (labels == 1))
        rise = np.logaddexp(0, -sign * answer) - loss
        accuracy[repeat, unit], surprise[repeat, unit] = worse.mean(), rise.mean()
        areas[repeat, unit] = area - auc(labels, answer)
        lost_right[unit] += worse / repeats
        lost_sure[unit] += rise / repeats
    groups = np.unique(loci, return_inverse=True)[1]
    table = pd.DataFrame({"unit": shuffled.unit, "start": shuffled.starts, "end": shuffled.ends})
    for name, values in (("accuracy", accuracy), ("auc", areas), ("log_loss", surprise)):
        table[f"{name}_lost"] = values.mean(axis=0)
        table[f"{name}_spread"] = values.std(axis=0, ddof=1) if repeats > 1 else np.nan
    # The same draws of loci for both measures.
    drawn = _draws(groups, samples, rng)
    for name, lost in (("accuracy", lost_right), ("log_loss", lost_sure)):
        table[f"{name}_low"], table[f"{name}_high"] = _locus_interval(lost, groups, drawn)
    return check_table(table, POSITION_IMPORTANCE, "importance")


def _draws(groups: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return (samples, loci) how often each locus is drawn."""
    loci = int(groups.max()) + 1
    return rng.multinomial(loci, np.full(loci, 1 / loci), size=samples).astype(np.float32)


def _locus_interval(lost: np.ndarray, groups: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95% percentile interval of the mean of each row of lost (units, n) over resampled loci."""
    loci = drawn.shape[1]
    if loci < 2:
        return np.full(len(lost), np.nan), np.full(len(lost), np.nan)
    sums = np.stack([np.bincount(groups, row, loci) for row in lost]).astype(np.float32)  # (units, loci)
    sizes = np.bincount(groups, minlength=loci).astype(np.float32)
    means = drawn @ sums.T / (drawn @ sizes)[:, None]
    low, high = np.percentile(means, (2.5, 97.5), axis=0)
    return low, high


def important_places(table: pd.DataFrame, threshold: float = PUBLISHED_LOSS) -> tuple[np.ndarray, str]:
    """Choose the places whose k-mers are looked at, and say by which rule.

    Parameters
    ----------
    table
        Table `POSITION_IMPORTANCE`, of one unit.
    threshold
        Loss of accuracy from which a place is important, as published.

    Returns
    -------
    rows, rule
        Row numbers of the table, and the rule in words. Where no place costs so much, those of the ten largest rises
        of the log loss that are beyond chance with so many places tried; there may be none.
    """
    rows = np.flatnonzero(table["accuracy_lost"] > threshold)
    if len(rows):
        return rows, f"shuffling the place costs more than {threshold:g} of accuracy (the published rule)"
    # Of 200 places some lie above zero by chance; the limit holds for all of them together (Bonferroni).
    error = (table["log_loss_lost"] - table["log_loss_low"]) / _Z
    limit = NormalDist().inv_cdf(1 - 0.05 / max(1, len(table)))
    sure = table[(table["log_loss_lost"] > limit * error) & (table["log_loss_low"] > 0)]
    rows = np.sort(sure.sort_values("log_loss_lost", ascending=False).index.to_numpy()[:10])
    if len(rows):
        return rows, (
            f"no place costs more than {threshold:g} of accuracy; these are the ten places, or fewer, with the largest "
            f"rise of the log loss that is beyond chance, {len(table):,} places having been tried"
        )
    return rows, (
        f"no place costs more than {threshold:g} of accuracy, and none raises the log loss beyond what chance gives "
        f"when {len(table):,} places are tried"
    )


def forest_importances(kmers: list[str], by_tree: np.ndarray) -> pd.DataFrame:
    """Return the mean importance of each k-mer in a forest with its spread over the trees.

    Parameters
    ----------
    kmers
        (features,) names of the counted k-mers.
    by_tree
        (trees, features): each tree's own importances, which add up to 1 (mean decrease of impurity).

    Returns
    -------
    DataFrame
        Table `KMER_WEIGHTS`, most important first. The mean's interval is 1.96 standard errors over trees. Importances
        by impurity are never negative, so noise has some too: a k-mer is worth a look where it stands out.
    """
    # One row stands for all trees together, as of boosting.
    trees = len(by_tree)
    mean = by_tree.mean(axis=0)
    spread = by_tree.std(axis=0, ddof=1) if trees > 1 else np.full(len(mean), np.nan)
    error = 1.96 * spread / np.sqrt(trees)
    return _weights_table(kmers, mean, spread, mean - error, mean + error)


def model_weights(model: Model, codes: np.ndarray) -> tuple[pd.DataFrame, str] | None:
    """Return how much each k-mer weighs in a model wherever it stands, and what the numbers are, in words.

    Parameters
    ----------
    model
        Any model.
    codes
        (n, width) windows, whose spread of counts turns weights into effects.

    Returns
    -------
    table, words
        Table `KMER_WEIGHTS`; None for networks, whose k-mers have no weight of their own.
    """
    if not isinstance(model, KmerLogistic | KmerVectors | TreeModel):
        return None
    names = [kmer_text(kmer, model.k) for kmer in range(4**model.k)]
    if isinstance(model, KmerForest):
        return forest_importances(names, model.importances()), (
            "Share of the impurity that questions about a k-mer remove, mean over trees"
        )
    if isinstance(model, TreeModel):
        return forest_importances(names, model.importances()), "Share of the gain that questions about a k-mer bring"
    places = codes.shape[1] - model.k + 1
    weights = model.weights if isinstance(model, KmerLogistic) else model.answers[:-1] / places
    deviations = kmer_counts(codes, model.k).std(axis=0, dtype=np.float64)
    return weight_table(names, weights, deviations), "Log-odds added when the count rises by one standard deviation"


def weight_table(kmers: list[str], weights: np.ndarray, deviations: np.ndarray) -> pd.DataFrame:
    """Return what each k-mer adds to a linear model's log-odds when its count rises by one standard deviation.

    Parameters
    ----------
    kmers
        (features,) names.
    weights
        (features,) log-odds for one occurrence more.
    deviations
        (features,) standard deviations of the counts over the windows looked at.
    """
    effect = weights * deviations
    blank = np.full(len(effect), np.nan)
    return _weights_table(kmers, effect, blank, blank, blank)


def _weights_table(
    kmers: list[str], mean: np.ndarray, spread: np.ndarray, low: np.ndarray, high: np.ndarray
) -> pd.DataFrame:
    table = pd.DataFrame({"kmer": kmers, "importance": mean, "spread": spread, "low": low, "high": high})
    order = np.argsort(-np.abs(mean), kind="stable")
    return check_table(table.iloc[order].reset_index(drop=True), KMER_WEIGHTS, "k-mer importance")

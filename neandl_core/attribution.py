"""Single windows explained: integrated gradients, and every single-base change in silico.

Integrated gradients (Sundararajan et al. 2017, by captum) share out a window's log-odds, less those of a window of N,
among its places. They add up to that difference; how far they miss it is reported. Mutagenesis asks the model itself
what it would say with one base changed, and needs no gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neandl_core.encoding import UNKNOWN_BASE, kmer_codes, kmer_text
from neandl_core.models.logistic import KmerLogistic
from neandl_core.models.solved import SolvedModel
from neandl_core.models.word_vectors import KmerVectors
from neandl_core.prediction import taking_threads
from neandl_core.schemas import KMER_ATTRIBUTIONS, MEAN_ATTRIBUTIONS, MUTATIONS, check_table

if TYPE_CHECKING:
    from torch import nn

    from neandl_core.models.store import Model

_BATCH = 512
_FUSED_BATCH = 4096
_WINDOWS = 4
"""Windows integrated at a time: with 200 steps each, batches that stay in a processor's caches."""


def log_odds(model: Model, codes: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return a model's log-odds of label 1, (n,) float32; probabilities would round away what lies near 0 and 1.

    Parameters
    ----------
    model
        A network on its device, or another model with `probabilities`.
    codes
        (n, width) uint8 codes of bases.
    threads
        For models that are no networks; networks take torch's.
    """
    if isinstance(model, SolvedModel):
        sure = np.clip(model.probabilities(codes, threads).astype(np.float64), 1e-7, 1 - 1e-7)
        return np.log(sure / (1 - sure)).astype(np.float32)
    import torch

    device = next(model.parameters()).device
    size = _FUSED_BATCH if getattr(model, "engine", "") == "fused" or device.type == "cuda" else _BATCH
    result = np.empty(len(codes), np.float32)
    with torch.inference_mode(), taking_threads(model):
        for start in range(0, len(codes), size):
            block = torch.from_numpy(np.array(codes[start : start + size])).to(device)
            result[start : start + len(block)] = model(block).cpu().numpy()
    return result


@dataclass(frozen=True)
class Attributed:
    """Integrated gradients of some windows.

    Attributes
    ----------
    unit
        ``k-mer`` or ``base``: what one column stands for.
    length
        Bases that a column covers: k, or 1.
    values
        (n, columns) float32, in log-odds of label 1; column j begins at base j.
    difference
        (n,) log-odds of each window less those of a window of N, which its values should add up to.
    """

    unit: str
    length: int
    values: np.ndarray
    difference: np.ndarray

    @property
    def missed(self) -> float:
        """Mean distance of the sums from the differences, as a share of the mean absolute difference."""
        scale = float(np.abs(self.difference).mean())
        return float(np.abs(self.values.sum(axis=1) - self.difference).mean()) / scale if scale else 0.0

    def by_base(self) -> np.ndarray:
        """Return (n, width): each k-mer's value shared out evenly among its bases; the sums stay."""
        count, columns = self.values.shape
        result = np.zeros((count, columns + self.length - 1), np.float32)
        for place in range(self.length):
            result[:, place : place + columns] += self.values / self.length
        return result


def attributable(model: Model) -> bool:
    """Whether `integrated_gradients` can be made: of models on k-mers in order, on one-hot bases, and of weights."""
    if isinstance(model, KmerLogistic | KmerVectors):
        return True
    return hasattr(model, "modules") and (hasattr(model, "embedding") or _first_convolution(model) is not None)


def integrated_gradients(
    model: Model, codes: np.ndarray, steps: int, on_windows: Callable[[int], None] | None = None
) -> Attributed:
    """Attribute each window's log-odds to its k-mers or bases, with a window of N as the baseline.

    The BiLSTM is attributed on the output of its embedding, where an N is a vector of zeros; the CNNs on one-hot bases,
    where it is a column of zeros; the attributions of linear models (logistic,
    word2vec) are what each k-mer adds. Networks run on the CPU here, as
    torch's LSTM has no gradients in evaluation mode on a GPU.

    Parameters
    ----------
    model
        In evaluation mode, and `attributable`.
    codes
        (n, width) codes of bases.
    steps
        Points of the integral (Gauss-Legendre).
    on_windows
        Told how many windows are done since the last call.
    """
    if isinstance(model, KmerLogistic):
        weights = np.append(model.weights, np.float32(0))
        values = weights[kmer_codes(codes, model.k)]
        return Attributed("k-mer", model.k, values, values.sum(axis=1))
    if isinstance(model, KmerVectors):
        values = model.shares(codes).astype(np.float32)
        return Attributed("k-mer", model.k, values, values.sum(axis=1))
    import torch
    from captum.attr import LayerIntegratedGradients

    device = next(model.parameters()).device
    network = model.to("cpu")
    # Gradients must pass through the embedding's output, which the compiled kernels never make.
    fused, network.fused = getattr(network, "fused", None), False
    on_kmers = hasattr(network, "embedding")
    layer = network.embedding if on_kmers else _first_convolution(network)
    method = LayerIntegratedGradients(network, layer)
    parts, differences = [], []
    try:
        for start in range(0, len(codes), _WINDOWS):
            block = torch.from_numpy(np.array(codes[start : start + _WINDOWS]))
            unknown = torch.full_like(block, UNKNOWN_BASE)
            found = method.attribute(
                block, baselines=unknown, n_steps=steps, attribute_to_layer_input=not on_kmers,
                internal_batch_size=_WINDOWS * steps,
            )
            # (n, k-mers, embedding), or (n, 4 bases, 1, width) with or without the 1: sum what a place is made of.
            parts.append((found.sum(dim=2) if on_kmers else found.flatten(1, -2).sum(dim=1)).detach().numpy())
            with torch.inference_mode():
                differences.append((network(block) - network(unknown)).numpy())
            if on_windows is not None:
                on_windows(len(block))
    finally:
        if fused is None:
            del network.fused
        else:
            network.fused = fused
        network.to(device)
    k = network.k if on_kmers else 1
    return Attributed(
        "k-mer" if on_kmers else "base", k, np.concatenate(parts).astype(np.float32), np.concatenate(differences)
    )


def _first_convolution(network: nn.Module) -> nn.Module | None:
    """Return the convolution that reads the four bases; None if there is none."""
    from torch import nn

    convolutions = (module for module in network.modules() if isinstance(module, nn.Conv1d | nn.Conv2d))
    first = next(convolutions, None)
    return first if first is not None and first.in_channels == 4 else None


def mean_attributions(attributed: Attributed, labels: np.ndarray) -> pd.DataFrame:
    """Average the attributions at each place over the windows of each class: table `MEAN_ATTRIBUTIONS`."""
    tables = []
    for label in np.unique(labels):
        values = attributed.values[labels == label]
        mean = values.mean(axis=0, dtype=np.float64)
        error = 1.96 * values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        starts = np.arange(values.shape[1])
        tables.append(pd.DataFrame({
            "start": starts, "end": starts + attributed.length, "label": int(label), "windows": len(values),
            "mean": mean, "low": mean - error, "high": mean + error,
            "mean_absolute": np.abs(values).mean(axis=0, dtype=np.float64),
        }))
    return check_table(pd.concat(tables, ignore_index=True), MEAN_ATTRIBUTIONS, "mean attributions")


def kmer_attributions(attributed: Attributed, codes: np.ndarray, k: int) -> pd.DataFrame:
    """Average the attributions of each k-mer over its occurrences: table `KMER_ATTRIBUTIONS`, largest mean first.

    Where bases are attributed, a k-mer's value is the sum over its bases.
    """
    values = attributed.values
    if attributed.length != k:
        values = np.lib.stride_tricks.sliding_window_view(attributed.by_base(), k, axis=1).sum(axis=2)
    kmers = kmer_codes(codes, k)
    known = kmers < 4**k
    found, index, count = np.unique(kmers[known], return_inverse=True, return_counts=True)
    table = pd.DataFrame({
        "kmer": [kmer_text(int(kmer), k) for kmer in found], "occurrences": count,
        "mean": np.bincount(index, values[known], len(found)) / count,
        "mean_absolute": np.bincount(index, np.abs(values[known]), len(found)) / count,
    })
    table = table.sort_values("mean", ascending=False, kind="stable").reset_index(drop=True)
    return check_table(table, KMER_ATTRIBUTIONS, "k-mer attributions")


def mutagenesis(model: Model, codes: np.ndarray, examples: np.ndarray) -> pd.DataFrame:
    """Ask a model what it would say of each window with each base changed into each other one.

    Parameters
    ----------
    model
        Any model.
    codes
        (n, width) codes of bases; places with N are left out.
    examples
        (n,) rows of the dataset, to name the windows by.

    Returns
    -------
    DataFrame
        Table `MUTATIONS`: 3 rows for each base.
    """
    tables = []
    for window, example in zip(np.asarray(codes), examples, strict=True):
        places = np.repeat(np.flatnonzero(window < UNKNOWN_BASE), 3)
        bases = (window[places] + np.tile([1, 2, 3], len(places) // 3)) % 4
        changed = np.repeat(window[None], len(places) + 1, axis=0)
        changed[np.arange(len(places)), places] = bases
        answers = log_odds(model, changed).astype(np.float64)
        probabilities = 1 / (1 + np.exp(-answers))
        tables.append(pd.DataFrame({
            "example": int(example), "position": places, "ref": np.array(list("ACGT"))[window[places]],
            "alt": np.array(list("ACGT"))[bases], "change": probabilities[:-1] - probabilities[-1],
            "log_odds_change": answers[:-1] - answers[-1],
        }))
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(MUTATIONS))
    return check_table(table.sort_values(["example", "position", "alt"], ignore_index=True), MUTATIONS, "mutations")

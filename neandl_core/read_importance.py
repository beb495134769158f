"""Which bases of a read a network decided by: integrated gradients, read by read and by distance from the ends.

Integrated gradients (Sundararajan et al. 2017, ICML; computed by captum) share the difference between the answer for a
read and the answer for an average read out among the bases: the gradient at each base, averaged over a straight way
from the average read to the read, times the way. The shares add up to that difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from neandl_core.calibration import load_calibration
from neandl_core.dataset import Dataset, load_dataset
from neandl_core.encoding import filled_lengths
from neandl_core.errors import InputError
from neandl_core.models import LAYERS_SEEN, WORDS
from neandl_core.models.store import load_stored
from neandl_core.prediction import network_probabilities, torch_threads
from neandl_core.recording import Run, require_run
from neandl_core.runs import read_summary
from neandl_core.schemas import READ_ATTRIBUTIONS, READ_POSITIONS, check_table

if TYPE_CHECKING:
    from torch import nn

POSITIONS_FILE, READS_FILE = "read_positions.tsv", "read_attributions.parquet"
STEPS = 32
"""Points on the way from the average read; the shares then add up to the answer within about a hundredth."""
OUTER = 5
"""Bases at either end whose share of all attribution is reported."""
LISTED = 300
"""Reads written base by base."""
METHOD = (
    f"Integrated gradients (Sundararajan et al. 2017), {STEPS} points by Gauss and Legendre, of the log-odds of being "
    "ancient, from a read of the same length whose every place holds the average base of the reads looked at. Reads "
    "are drawn from the test part, as many of either class. A base counts at the end it is nearer to; the 3' ends of "
    "reads that fill the model's width are left out, as these may have been cut."
)
_BLOCK = 64
_Z = 1.96


@dataclass(frozen=True)
class Attributions:
    """Shares of the bases of some reads in a network's answers.

    Attributes
    ----------
    values : (n, width) float32
        In natural log-odds, + towards label 1; 0 past the end of a read.
    answers : (n,) float32
        Log-odds of the reads.
    error : (n,) float32
        Sum of the shares less the difference that they should add up to.
    """

    values: np.ndarray
    answers: np.ndarray
    error: np.ndarray


def attribute_bases(network: nn.Module, inputs: np.ndarray, progress: Any = None) -> Attributions:
    """Return integrated gradients of each base.

    Parameters
    ----------
    network
        A network of reads in evaluation mode, on the CPU.
    inputs
        (n, width) codes, or (n, layers, width), as the network takes them; n at least 1.
    progress
        Told the number of reads after each block; may be None.

    Raises
    ------
    SettingsError
        If the network does not look at single bases.
    """
    import torch
    from captum.attr import IntegratedGradients

    from neandl_core.models.soft_inputs import soften

    soft = soften(network)
    for parameter in soft.parameters():
        parameter.requires_grad_(False)
    everything = torch.from_numpy(np.array(inputs))
    with torch.no_grad():
        blocks = [everything[start : start + _BLOCK] for start in range(0, len(everything), _BLOCK)]
        filled = [soft.states(block) for block in blocks]
        average = sum(block.sum((0, 1)) for block in filled)
        average = average / average.sum()
    method = IntegratedGradients(soft)
    values, answers, errors = [], [], []
    for block, states in zip(blocks, filled, strict=True):
        codes = block if block.dim() == 2 else block[:, 0]
        inside = torch.from_numpy(
            np.arange(codes.shape[1]) < filled_lengths(codes.numpy())[:, None]
        ).unsqueeze(2)
        start = average * inside
        shares = method.attribute(
            states, start, additional_forward_args=(block,), n_steps=STEPS, method="gausslegendre",
            internal_batch_size=_BLOCK * STEPS,
        ).sum(2)
        with torch.no_grad():
            answer, origin = soft(states, block), soft(start, block)
        values.append(shares.float().numpy())
        answers.append(answer.numpy())
        errors.append((shares.sum(1) - (answer - origin)).float().numpy())
        if progress is not None:
            progress(len(block))
    return Attributions(np.concatenate(values), np.concatenate(answers), np.concatenate(errors))


def position_table(values: np.ndarray, lengths: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Return attribution by distance from the ends (`schemas.READ_POSITIONS`).

    Parameters
    ----------
    values
        (n, width) attributions.
    lengths, labels
        (n,) bases and classes of the reads.
    """
    rows = []
    width = values.shape[1]
    for end in ("5p", "3p"):
        used = np.flatnonzero(lengths < width) if end == "3p" else np.arange(len(values))
        # The middle base of a read of odd length is as near to one end as to the other, and counts at the 5' end.
        reach = (lengths + (end == "5p")) // 2
        for position in range(int(reach[used].max(initial=0))):
            here = used[reach[used] > position]
            place = np.full(len(here), position) if end == "5p" else lengths[here] - 1 - position
            shares = values[here, place].astype(float)
            for name, chosen in (
                ("all", np.ones(len(here), bool)), ("ancient", labels[here] == 1), ("modern", labels[here] == 0),
            ):
                if chosen.any():
                    rows.append((end, position, name, *_spread(shares[chosen])))
    names = [name for name in READ_POSITIONS if name not in ("end", "position", "class")]
    return pd.DataFrame(rows, columns=["end", "position", "class", *names])


def _spread(shares: np.ndarray) -> tuple[float, ...]:
    size = np.abs(shares)
    mean = float(size.mean())
    half = _Z * float(size.std(ddof=1)) / np.sqrt(len(size)) if len(size) > 1 else 0.0
    quarter, three_quarters = np.percentile(size, [25, 75])
    return len(size), mean, mean - half, mean + half, float(quarter), float(three_quarters), float(shares.mean())


def read_table_of(
    dataset: Dataset, rows: np.ndarray, values: np.ndarray, probabilities: np.ndarray
) -> pd.DataFrame:
    """Return reads base by base (`schemas.READ_ATTRIBUTIONS`), (m,) rows of the dataset with (m, width) values."""
    codes = dataset.codes[rows]
    lengths = filled_lengths(codes)
    read, position = np.nonzero(np.arange(codes.shape[1]) < lengths[:, None])
    letters = np.array(list("ACGTN"))
    reference = np.full(len(read), "", dtype=object)
    if dataset.reference is not None:
        known = np.minimum(dataset.reference[rows][read, position], 4)
        reference = np.array(["A", "C", "G", "T", ""], dtype=object)[known]
    return pd.DataFrame({
        "read": rows[read], "label": dataset.labels[rows][read].astype(int), "probability": probabilities[read],
        "length": lengths[read], "position": position, "base": letters[np.minimum(codes[read, position], 4)],
        "reference": reference, "attribution": values[read, position],
    })


def interpret_reads(
    source: Path, run: Run, *, reads: int = 2000, seed: int = 1, threads: int = 2
) -> dict[str, Any]:
    """Say which bases a trained network of reads decides by, and write two tables of it.

    `read_positions.tsv` is `schemas.READ_POSITIONS`, `read_attributions.parquet` is `schemas.READ_ATTRIBUTIONS`.

    Parameters
    ----------
    source
        The folder of a finished `train` run on a read dataset, whose dataset is still where it was.
    run
        The run at work; tables go to `run.results`.
    reads
        Test reads to look at, at most, half of each class.
    seed
        Draws them.
    threads
        Processor threads.

    Returns
    -------
    dict
        `kind` (reads), `preset`, `model` (folder, preset, split, verdict, test_auc), `classes` (reads by class),
        `reads`, `listed`, `cut` (reads whose 3' end is left out), `peak_5p`, `peak_3p` (distance from the end,
        0 = terminal, of the largest mean; None without reads), `outer_bases`, `outer_share` (of all absolute
        attribution, at both ends together), `outer_share_even` (were it spread evenly), `completeness_error` (median
        over reads, relative to their attribution), `sentence`, `method`, `notes`, `simulated`.

    Raises
    ------
    InputError
        If the run is no finished training on reads, its model does not look at single bases, its dataset is gone or
        is another one, or its test part is empty.
    """
    source = require_run(source, "train")
    card, model = load_stored(source)
    if card.dataset_kind != "reads" or card.preset in WORDS:
        raise InputError(
            f"the model {card.preset} of this run does not look at single bases of reads", path=source,
            advice="Choose a run of cnn-shallow, cnn-deep or a preset on ends, trained on reads.",
        )
    trained = read_summary(source) or {}
    dataset = _dataset_of(source, card.width)
    rows = _draw(dataset, reads, np.random.default_rng([seed, 41]))
    inputs = dataset.inputs(LAYERS_SEEN.get(card.preset, ()))[rows]
    labels, lengths = dataset.labels[rows], filled_lengths(dataset.codes[rows])
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        run.progress(done, len(rows), "Looking at reads")

    with torch_threads(threads):
        found = attribute_bases(model, inputs, advance)
        probabilities = load_calibration(source).apply(network_probabilities(model, inputs))
    positions = position_table(found.values, lengths, labels)
    check_table(positions, READ_POSITIONS, "read positions").to_csv(run.results / POSITIONS_FILE, sep="\t", index=False)
    listed = read_table_of(dataset, rows[:LISTED], found.values[:LISTED], probabilities[:LISTED])
    check_table(listed, READ_ATTRIBUTIONS, "read attributions").to_parquet(run.results / READS_FILE, index=False)
    return {
        "kind": "reads", "preset": card.preset, "reads": len(rows), "listed": min(LISTED, len(rows)),
        "classes": {"ancient": int((labels == 1).sum()), "modern": int((labels == 0).sum())},
        "cut": int((lengths == card.width).sum()),
        "model": {"folder": str(source.resolve()), "preset": card.preset, "split": card.split,
                  "verdict": trained["verdict"], "test_auc": trained["test"].get("auc")},
        **_figures(found, positions, lengths), "method": METHOD, "notes": _notes(card.preset),
        "simulated": dataset.description.simulated,
    }


def _dataset_of(source: Path, width: int) -> Dataset:
    described = (read_summary(source) or {}).get("dataset") or {}
    if "folder" not in described:
        raise InputError("this run does not say which dataset it was trained on", path=source,
                         advice="Train the model again.")
    dataset = load_dataset(described["folder"])
    if dataset.description.width != width or dataset.description.kind != "reads":
        raise InputError("the dataset of this run is no longer the one it was trained on", path=dataset.folder,
                         advice="Train the model again.")
    return dataset


def _draw(dataset: Dataset, reads: int, rng: np.random.Generator) -> np.ndarray:
    """Return test rows in random order, as many of either class as there are, at most `reads` together."""
    test = dataset.part("test")
    labels = dataset.labels[test]
    chosen = [
        rng.permutation(test[labels == label])[: max(1, reads // 2)] for label in (0, 1)
    ]
    each = min(len(part) for part in chosen)
    rows = np.concatenate([part[:each] for part in chosen] if each else chosen)
    if not len(rows):
        raise InputError("the test part is empty", path=dataset.folder, advice="Make the dataset again.")
    return rng.permutation(rows)


def _figures(found: Attributions, positions: pd.DataFrame, lengths: np.ndarray) -> dict[str, Any]:
    size = np.abs(found.values).astype(float)
    place = np.arange(size.shape[1])
    outer = (np.minimum(place, lengths[:, None] - 1 - place) < OUTER) & (place < lengths[:, None])
    total = size.sum()
    share = float((size * outer).sum() / total) if total else float("nan")
    even = float((outer.sum(1) / lengths).mean())
    peaks: dict[str, int | None] = {}
    for end in ("5p", "3p"):
        line = positions[(positions["end"] == end) & (positions["class"] == "all")]
        # Far inside only the longest reads are left, and the mean of a few is no peak.
        line = line[line["n"] >= 0.1 * line["n"].max()] if len(line) else line
        peaks[end] = int(line.loc[line["mean"].idxmax(), "position"]) if len(line) else None
    at = {end: "unknown" if peak is None else f"base {peak + 1}" for end, peak in peaks.items()}
    off = np.median(np.abs(found.error) / np.maximum(size.sum(1), 1e-9))
    return {
        "peak_5p": peaks["5p"], "peak_3p": peaks["3p"], "outer_bases": OUTER, "outer_share": share,
        "outer_share_even": even, "completeness_error": float(off),
        "sentence": (
            f"The {OUTER} outer bases of either end carry {share:.0%} of the decision ({even:.0%} if all bases counted "
            f"alike). The largest mean is at {at['5p']} from the 5' end and at {at['3p']} from the 3' end."
        ),
    }


def _notes(preset: str) -> list[str]:
    notes = [
        "Attribution says what the model uses, not what is true: a model that learnt a region or a sequencer shows "
        "those bases.",
    ]
    if LAYERS_SEEN.get(preset):
        notes.append(
            "This model sees reference bases: what it learnt comes from C read as T and G read as A. Intact C and G "
            "near the ends count against age, as in the PMD score."
        )
    return notes

"""Samples of simulated reads: which individuals, which record kinds, and the SAM lines that say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from neandl_core import __version__
from neandl_core.simulate.composition import BASES
from neandl_core.simulate.fragments import (
    CLIP_LEFT,
    DELETION,
    INSERTION,
    PLAIN,
    Damage,
    Fragments,
    Reference,
    draw_fragments,
    flat_index,
)

SIMULATED_LINE = "simulated by NeanDL: no real sample"
"""The comment line in every BAM header."""
CHUNK = 20_000
"""Records drawn at once; keeps memory near 0.3 GB however many are asked for."""
USABLE, UNMAPPED, SECONDARY, QC_FAIL, DUPLICATE = range(5)
KIND_NAMES = ("usable", "unmapped", "secondary", "qc_fail", "duplicate")
_FLAGS = (0, 0x4, 0x100, 0x200, 0x400)
_SHARES = {UNMAPPED: 0.02, SECONDARY: 0.005, QC_FAIL: 0.005, DUPLICATE: 0.015}
_MITOCHONDRIAL_SHARE = 0.02
_MAPPING_QUALITY, _LOWER_MAPPING_QUALITY_SHARE = 37, 0.1
_ANCIENT_MEDIAN, _CONTAMINANT_MEDIAN, _LENGTH_SPREAD = 52.0, 62.0, 0.28
_LENGTH_LIMITS = (30, 150)
MODERN_LENGTH = 100
"""Read length of the modern sample, single-end."""


@dataclass(frozen=True)
class Sample:
    """One BAM file: its name, the share of modern reads, and whether all reads have the sequencer's length."""

    name: str
    modern_share: float
    fixed_length: bool = False


@dataclass(frozen=True)
class Individuals:
    """The genomes that reads are drawn from, each as long as the reference."""

    ancient: np.ndarray
    modern: np.ndarray

    @classmethod
    def draw(cls, reference: Reference, seed: int) -> Individuals:
        """Draw both individuals' variants."""
        rng = np.random.default_rng([seed, 3])
        return cls(reference.individual(rng), reference.individual(rng))


def header(reference: Reference, sample: Sample) -> str:
    """Return the SAM header, which says that nothing here is real."""
    contigs = "".join(
        f"@SQ\tSN:{name}\tLN:{length}\n" for name, length in zip(reference.names, reference.lengths, strict=True)
    )
    return (
        "@HD\tVN:1.6\tSO:unsorted\n" + contigs
        + f"@RG\tID:simulated\tSM:simulated_{sample.name}\tLB:simulated_{sample.name}\tPL:ILLUMINA\n"
        + f"@PG\tID:NeanDL\tPN:NeanDL\tVN:{__version__}\n@CO\t{SIMULATED_LINE}\n"
    )


def draw_lengths(modern: np.ndarray, fixed: bool, rng: np.random.Generator) -> np.ndarray:
    """Return read lengths in bases: lognormal and cut to 30-150, contaminants somewhat longer; or all 100."""
    if fixed:
        return np.full(modern.size, MODERN_LENGTH, np.int64)
    median = np.where(modern, _CONTAMINANT_MEDIAN, _ANCIENT_MEDIAN)
    lengths = np.rint(rng.lognormal(np.log(median), _LENGTH_SPREAD)).astype(np.int64)
    return np.clip(lengths, *_LENGTH_LIMITS)


def simulate_sample(
    reference: Reference, individuals: Individuals, sample: Sample, records: int, damage: Damage, seed: int, stream: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Draw a sample chunk by chunk.

    Yields
    ------
    lines
        SAM records, unsorted, with RG, NM and MD tags.
    truth
        name, origin (endogenous or contaminant; foreign if unmapped), kind (`KIND_NAMES`), contig, start (0-based),
        strand, length; one row per record, in the order of the lines.
    """
    rng = np.random.default_rng([seed, 4, stream])
    for first in range(0, records, CHUNK):
        yield _chunk(reference, individuals, sample, first, min(CHUNK, records - first), damage, rng)


def _chunk(
    reference: Reference, individuals: Individuals, sample: Sample, first: int, records: int, damage: Damage,
    rng: np.random.Generator,
) -> tuple[str, pd.DataFrame]:
    count = {kind: round(share * records) for kind, share in _SHARES.items()}
    drawn = records - count[DUPLICATE]
    kinds = np.full(drawn, USABLE)
    at = 0
    for kind in (UNMAPPED, SECONDARY, QC_FAIL):
        kinds[at:at + count[kind]] = kind
        at += count[kind]
    kinds = rng.permutation(kinds)
    usable = np.flatnonzero(kinds == USABLE)
    modern = rng.random(drawn) < sample.modern_share
    # An exact share among the usable reads, so that the truth is the number that was asked for.
    modern[usable] = rng.permutation(np.arange(usable.size) < round(sample.modern_share * usable.size))
    fragments = draw_fragments(
        reference, (individuals.ancient, individuals.modern), ~modern,
        draw_lengths(modern, sample.fixed_length, rng), damage, _MITOCHONDRIAL_SHARE, rng,
    )
    foreign = (kinds == UNMAPPED)[np.repeat(np.arange(drawn), fragments.length)]
    microbes = BASES[rng.integers(0, 4, foreign.size)]
    fragments = replace(fragments, bases=np.where(foreign, microbes, fragments.bases))
    copied = rng.choice(usable, count[DUPLICATE], replace=False)
    source = np.concatenate((np.arange(drawn), copied))
    kinds = np.concatenate((kinds, np.full(copied.size, DUPLICATE)))
    lower = rng.random(drawn) < _LOWER_MAPPING_QUALITY_SHARE
    mapping = np.where(lower, rng.integers(0, _MAPPING_QUALITY, drawn), _MAPPING_QUALITY)
    mapping[kinds[:drawn] == SECONDARY] = 0
    names = [f"simulated_{sample.name}_{first + number:08d}" for number in range(1, records + 1)]
    lines = sam_lines(reference, fragments, names, source, kinds, mapping)
    origin = np.where(modern[source], "contaminant", "endogenous")
    unmapped = kinds == UNMAPPED
    truth = pd.DataFrame({
        "name": names,
        "origin": np.where(unmapped, "foreign", origin),
        "kind": np.array(KIND_NAMES)[kinds],
        "contig": np.where(unmapped, "*", np.array(reference.names)[fragments.contig[source]]),
        "start": np.where(unmapped, -1, fragments.start[source]),
        "strand": np.where(unmapped, "*", np.where(fragments.reverse[source], "-", "+")),
        "length": fragments.length[source],
    })
    return lines, truth


def sam_lines(
    reference: Reference, fragments: Fragments, names: list[str], source: np.ndarray, kinds: np.ndarray,
    mapping: np.ndarray,
) -> str:
    """Return SAM records.

    Parameters
    ----------
    names
        One per record.
    source : (records,) int array
        The fragment that each record shows; a duplicate shows the fragment of another record.
    kinds : (records,) int array
        `USABLE`, `UNMAPPED`, ...
    mapping : (n,) int array
        Mapping quality of each fragment.
    """
    ends = np.cumsum(fragments.length)
    starts = (ends - fragments.length).tolist()
    bases = fragments.bases.tobytes().decode()
    quality_text = (fragments.qualities + 33).tobytes().decode()
    cigars, tags = _cigars(fragments), _md_and_nm(reference, fragments)
    contigs, positions = fragments.contig.tolist(), (fragments.start + 1).tolist()
    reverse, stops, mapq = fragments.reverse.tolist(), ends.tolist(), mapping.tolist()
    lines = []
    for name, index, kind in zip(names, source.tolist(), kinds.tolist(), strict=True):
        span = slice(starts[index], stops[index])
        if kind == UNMAPPED:
            lines.append(f"{name}\t4\t*\t0\t0\t*\t*\t0\t0\t{bases[span]}\t{quality_text[span]}\tRG:Z:simulated\n")
            continue
        flag = _FLAGS[kind] | (0x10 if reverse[index] else 0)
        lines.append(
            f"{name}\t{flag}\t{reference.names[contigs[index]]}\t{positions[index]}\t{mapq[index]}\t{cigars[index]}"
            f"\t*\t0\t0\t{bases[span]}\t{quality_text[span]}\tRG:Z:simulated\t{tags[index]}\n"
        )
    return "".join(lines)


def _cigars(fragments: Fragments) -> list[str]:
    columns = (fragments.kind, fragments.length, fragments.at, fragments.size)
    cigars = []
    for kind, length, at, size in zip(*(column.tolist() for column in columns), strict=True):
        if kind == PLAIN:
            cigars.append(f"{length}M")
        elif kind == DELETION:
            cigars.append(f"{at}M{size}D{length - at}M")
        elif kind == INSERTION:
            cigars.append(f"{at}M{size}I{length - at - size}M")
        elif kind == CLIP_LEFT:
            cigars.append(f"{size}S{length - size}M")
        else:
            cigars.append(f"{length - size}M{size}S")
    return cigars


def _md_and_nm(reference: Reference, fragments: Fragments) -> list[str]:
    """Return the NM and MD tags of each fragment, by the SAM specification; a read N counts as a mismatch."""
    aligned = fragments.reference > 0
    different = np.flatnonzero(aligned & (fragments.bases != fragments.reference))
    owner, _ = flat_index(fragments.length)
    before = np.concatenate(([0], np.cumsum(aligned)))
    first = before[np.cumsum(fragments.length) - fragments.length]
    columns = (before[different] - first[owner[different]]).tolist()
    letters = fragments.reference[different].tobytes().decode()
    bounds = np.searchsorted(owner[different], np.arange(fragments.length.size + 1)).tolist()
    aligned_lengths = np.bincount(owner[aligned], minlength=fragments.length.size).tolist()
    deletions = np.flatnonzero(fragments.kind == DELETION)
    where = reference.offsets[fragments.contig] + fragments.start + fragments.at
    deleted = {
        index: (int(fragments.at[index]), reference.bases[where[index]:][:fragments.size[index]].tobytes().decode())
        for index in deletions.tolist()
    }
    inserted = (fragments.size * (fragments.kind == INSERTION)).tolist()
    tags = []
    for index, length in enumerate(aligned_lengths):
        low, high = bounds[index], bounds[index + 1]
        marks = [(column, 1, letter) for column, letter in zip(columns[low:high], letters[low:high], strict=True)]
        edits = high - low + inserted[index]
        if index in deleted:
            column, missing = deleted[index]
            marks = sorted([*marks, (column, 0, f"^{missing}")])
            edits += len(missing)
        text, reached = "", 0
        for column, width, letter in marks:
            text += f"{column - reached}{letter}"
            reached = column + width
        tags.append(f"NM:i:{edits}\tMD:Z:{text}{length - reached}")
    return tags


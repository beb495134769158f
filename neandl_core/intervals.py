"""Intervals on chromosomes: 0-based, half-open, length = end - start.

Typed text such as ``chr3:45,859,652-45,909,024`` is 1-based with the end included; `parse_locus` and `format_locus`
are the only places that convert it.

Merging is bioframe's. Coverage and distances are numpy: the same numbers as bioframe's and bedtools', which the tests
hold, in a sixth to a half of bioframe's time, as windows and places drawn come by the million.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from neandl_core.errors import InputError

_LOCUS_TEXT = re.compile(r"^\s*(?P<contig>[^\s:]+):(?P<start>[\d,]+)-(?P<end>[\d,]+)\s*$")


@dataclass(frozen=True, slots=True, order=True)
class Locus:
    """A stretch of one chromosome, 0-based half-open."""

    contig: str
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def parse_locus(text: str) -> Locus:
    """Read ``chr:start-end`` as people type it (1-based, end included) and return it 0-based half-open.

    Raises
    ------
    InputError
        If the text has another shape, starts before 1 or ends before it starts.
    """
    match = _LOCUS_TEXT.match(text)
    if match is None:
        raise InputError(f'expected a locus such as "chr10:61,786,056-61,900,774", got "{text}"')
    start, end = (int(match[name].replace(",", "")) for name in ("start", "end"))
    if start < 1 or end < start:
        raise InputError(f'"{text}" is no locus: positions count from 1 and the end may not lie before the start')
    return Locus(match["contig"], start - 1, end)


def format_locus(locus: Locus) -> str:
    """Write a locus as people read it: 1-based, end included, thousands separated."""
    return f"{locus.contig}:{locus.start + 1:,}-{locus.end:,}"


def bare_contig(name: str) -> str:
    """Return a chromosome's name without ``chr``, and the mitochondrion's as ``MT``, to compare naming styles."""
    bare = name[3:] if name[:3].lower() == "chr" else name
    return "MT" if bare.upper() in {"M", "MT"} else bare


@dataclass(frozen=True)
class ContigMatch:
    """How the names of one file go with those of another.

    Attributes
    ----------
    to_reference
        Name in the file -> name in the reference, for every contig that matched.
    renamed
        How many of them differ in spelling (``chr20`` against ``20``).
    unmatched
        Names that the reference does not have, in the order in which they came.
    """

    to_reference: dict[str, str]
    renamed: int
    unmatched: tuple[str, ...]


def match_contigs(names: Iterable[str], reference: Sequence[str]) -> ContigMatch:
    """Match chromosome names of a file to those of the reference, with and without ``chr``.

    An exact match wins; otherwise names equal after `bare_contig` match if the reference has only one such name.
    """
    exact = set(reference)
    by_bare: dict[str, list[str]] = {}
    for name in reference:
        by_bare.setdefault(bare_contig(name), []).append(name)
    to_reference: dict[str, str] = {}
    unmatched: list[str] = []
    for name in dict.fromkeys(names):
        candidates = [name] if name in exact else by_bare.get(bare_contig(name), [])
        if len(candidates) == 1:
            to_reference[name] = candidates[0]
        else:
            unmatched.append(name)
    renamed = sum(name != other for name, other in to_reference.items())
    return ContigMatch(to_reference, renamed, tuple(unmatched))


def merge(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merge the overlapping intervals of one chromosome.

    Parameters
    ----------
    starts, ends : (n,) integer arrays
        0-based half-open, in any order. Intervals that only touch stay apart.

    Returns
    -------
    merged_starts, merged_ends : (m,) int64 arrays
        Sorted and disjoint.
    membership : (n,) int64 array
        For each interval given, the index of the merged one that holds it.
    """
    # Here, as it brings pandas and more, which commands on reads do without.
    from bioframe.core.arrops import merge_intervals

    membership, merged_starts, merged_ends = merge_intervals(
        np.asarray(starts, np.int64), np.asarray(ends, np.int64), min_dist=None
    )
    return merged_starts, merged_ends, membership.astype(np.int64)


def nearest_distances(
    query_starts: np.ndarray, query_ends: np.ndarray, merged_starts: np.ndarray, merged_ends: np.ndarray
) -> np.ndarray:
    """Return the distance of each query interval to the nearest of a set of merged intervals of its chromosome.

    Parameters
    ----------
    query_starts, query_ends : (n,) integer arrays
    merged_starts, merged_ends : (m,) integer arrays
        Sorted and disjoint, as `merge` returns them.

    Returns
    -------
    (n,) int64 array
        Bases in between, 0 for intervals that overlap or touch; the largest int64 if there is none to be near to.
    """
    none = np.iinfo(np.int64).max
    query_starts = np.asarray(query_starts, dtype=np.int64)
    query_ends = np.asarray(query_ends, dtype=np.int64)
    if merged_starts.size == 0:
        return np.full(query_starts.size, none)
    after = np.searchsorted(merged_starts, query_ends, side="left")
    to_next = np.where(after < merged_starts.size, merged_starts[np.minimum(after, merged_starts.size - 1)], none)
    to_next = np.where(after < merged_starts.size, to_next - query_ends, none)
    to_last = np.where(after > 0, query_starts - merged_ends[np.maximum(after - 1, 0)], none)
    return np.maximum(np.minimum(to_next, to_last), 0)


def covered_bases(
    query_starts: np.ndarray, query_ends: np.ndarray, merged_starts: np.ndarray, merged_ends: np.ndarray
) -> np.ndarray:
    """Count the bases of each query interval that lie in a set of merged intervals of the same chromosome.

    Parameters
    ----------
    query_starts, query_ends : (n,) integer arrays
    merged_starts, merged_ends : (m,) integer arrays
        Sorted and disjoint, as `merge` returns them.

    Returns
    -------
    (n,) int64 array, each between 0 and the query's length.
    """
    query_starts = np.asarray(query_starts, dtype=np.int64)
    query_ends = np.asarray(query_ends, dtype=np.int64)
    if merged_starts.size == 0:
        return np.zeros(query_starts.size, dtype=np.int64)
    before = np.concatenate(([0], np.cumsum(merged_ends - merged_starts)))

    def bases_left_of(position: np.ndarray) -> np.ndarray:
        index = np.searchsorted(merged_starts, position, side="right")
        last = np.maximum(index - 1, 0)
        beyond = np.maximum(merged_ends[last] - position, 0)
        return before[index] - np.where(index > 0, beyond, 0)

    return bases_left_of(query_ends) - bases_left_of(query_starts)

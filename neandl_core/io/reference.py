"""The reference that reads were aligned to, contig by contig, by the reference ids of their file."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np

from neandl_core.errors import InputError, shorten
from neandl_core.intervals import match_contigs
from neandl_core.io.alignments import Alignments
from neandl_core.io.twobit import open_genome

_KEEP_BASES = 64_000_000
"""Bases of reference contigs kept in memory beside the current one."""
_NO_BASES = np.frombuffer(b"\4", np.uint8)  # read-only, as the codes of a contig are


class ReferenceBases:
    """The reference, a contig at a time, by the alignment file's reference ids."""

    def __init__(self, path: str | Path, alignments: Alignments) -> None:
        path = Path(path)
        self._genome = open_genome(path)
        self.notes = list(self._genome.notes)
        names = [name for name, _ in alignments.contigs]
        match = match_contigs(names, self._genome.names)
        if names and not match.to_reference:
            raise InputError(
                f"none of its contigs ({shorten(', '.join(names), 40)}) is in {path.name} "
                f"({shorten(', '.join(self._genome.names), 40)})",
                path=alignments.path, advice="Give the FASTA that the reads were aligned to.",
            )
        for name, length in alignments.contigs:
            other = match.to_reference.get(name)
            if other is not None and self._genome.lengths[other] != length:
                raise InputError(
                    f'contig "{shorten(name)}" has {length:,} bases here and {self._genome.lengths[other]:,} in '
                    f"{path.name}", path=alignments.path, advice="Give the FASTA that the reads were aligned to.",
                )
        if match.renamed:
            self.notes.append(f"{match.renamed:,} contig names were matched to {path.name} with and without chr.")
        if match.unmatched:
            self.notes.append(f"{len(match.unmatched):,} contigs of {alignments.path.name} are not in {path.name}.")
        self._names = [match.to_reference.get(name) for name in names]
        self.has = np.array([name is not None for name in self._names], np.uint8)
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self.loads = 0
        self._path = alignments.path

    def codes(self, contig: int) -> np.ndarray:
        """Return the codes of a contig. Files that jump between large contigs are refused: it would take for ever."""
        if contig in self._kept:
            self._kept.move_to_end(contig)
            return self._kept[contig]
        self.loads += 1
        if self.loads > 100 + 2 * len(self._names):
            raise InputError(
                "its reads are not sorted, so the reference would be read over and over",
                path=self._path, advice="Sort it (samtools sort).",
            )
        name = self._names[contig]
        size = self._genome.lengths[name]
        while self._kept and size + sum(codes.size for codes in self._kept.values()) > _KEEP_BASES:
            self._kept.popitem(last=False)
        self._kept[contig] = self._genome.codes(name)
        return self._kept[contig]


def contig_at_hand(
    reference: ReferenceBases | None, needed: int = -1, before: tuple[np.ndarray, np.ndarray, int] | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return what compiled loops take: contigs that there are, codes of the one at hand, which one that is.

    Parameters
    ----------
    reference
        None if there is none.
    needed
        The contig that a loop asked for, -1 if none.
    before
        What it had until now.
    """
    if reference is None:
        return np.zeros(0, np.uint8), _NO_BASES, -1
    if needed >= 0:
        return reference.has, reference.codes(needed), needed
    return before or (reference.has, _NO_BASES, -1)

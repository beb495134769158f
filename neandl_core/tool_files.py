"""A profile in the layouts of the field's tools, so that what reads their files (MultiQC, R scripts) reads ours.

``misincorporation.txt``, ``lgdistribution.txt``, ``dnacomp.txt``, ``5pCtoT_freq.txt``, ``3pGtoA_freq.txt`` as mapDamage
2.2 writes them with ``--merge-reference-sequences`` (one table over all contigs, named ``*``), in a folder
``results_NAME`` as mapDamage names it, since MultiQC takes the sample's name from there; ``dmgprof.json`` as
DamageProfiler's. Each file says in its head that NeanDL made it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from neandl_core import __version__
from neandl_core.config import SHOWN_POSITIONS
from neandl_core.damage import BASES, ENDS, STRANDS, DamageProfile
from neandl_core.files import write_json, write_text
from neandl_core.io.records import GAP
from neandl_core.read_details import ReadDetails
from neandl_core.read_tables import composition_columns

MUTATIONS = (
    "G>A", "C>T", "A>G", "T>C", "A>C", "A>T", "C>G", "C>A", "T>G", "T>A", "G>C", "G>T", "A>-", "T>-", "C>-", "G>-",
    "->A", "->T", "->C", "->G",
)
"""Columns of misincorporation.txt, in its order; then S, soft clips."""
_CODE = {base: code for code, base in enumerate(BASES)} | {"-": GAP}
_KEY = "# Chr: reference from sam/bam header, End: from which termini of DNA sequences, Std: strand of reads"


def write_tool_files(
    folder: Path, profile: DamageProfile, details: ReadDetails, file: str, *, composition: bool
) -> None:
    """Write the files into `folder`, which is made; those of mapDamage into a folder in it.

    Parameters
    ----------
    profile, details
        Of one file. mapDamage's files follow its numbers with the `alignment-column` definition, DamageProfiler's
        with `read-base`; with the other one the layout is the same and the numbers are ours.
    file
        The alignment file's name, for the heads of the files; without its ending it is the sample's name.
    composition
        Whether `details` holds the bases beside the reads; without them there is no dnacomp.txt.
    """
    folder.mkdir()
    sample = re.sub(r"[^\w.+-]+", "_", Path(file).stem).strip(".") or "sample"
    write_json(folder / "dmgprof.json", damageprofiler_json(profile, sample))
    folder = folder / f"results_{sample}"
    folder.mkdir()
    head = f"# table produced by NeanDL version {__version__} in the layout of mapDamage\n# using mapped file {file}\n"
    write_text(folder / "misincorporation.txt", head + _misincorporation(profile, details))
    lengths = [
        f"{strand}\t{length}\t{details.spans[row, length]}\n"
        for row, strand in enumerate(STRANDS) for length in np.flatnonzero(details.spans[row])
    ]
    write_text(
        folder / "lgdistribution.txt", head + "# Std: strand of reads\nStd\tLength\tOccurences \n" + "".join(lengths)
    )
    for name, end, substitution in (("5pCtoT_freq.txt", "5p", "C>T"), ("3pGtoA_freq.txt", "3p", "G>A")):
        rates = _rates(profile, end, substitution)
        lines = [f"{position}\t{rate}\n" for position, rate in enumerate(rates, start=1)]
        write_text(folder / name, f"pos\t{end}{substitution}\n" + "".join(lines))
    if composition:
        columns = composition_columns(details)
        rows = zip(*(values.tolist() for values in columns.values()), strict=True)
        text = "".join(
            "\t".join(map(str, ("*", end, strand, place, *counts, sum(counts)))) + "\n"
            for end, strand, place, *counts in rows
        )
        write_text(folder / "dnacomp.txt", f"{head}{_KEY}\nChr\tEnd\tStd\tPos\tA\tC\tG\tT\tTotal\n{text}")


def _misincorporation(profile: DamageProfile, details: ReadDetails) -> str:
    lines = [_KEY, "\t".join(("Chr", "End", "Std", "Pos", *BASES, "Total", *MUTATIONS, "S"))]
    for end in sorted(ENDS):
        for row, strand in enumerate(STRANDS):
            counts = profile.counts[ENDS.index(end), row]
            clips = details.clips[ENDS.index(end), row]
            for position in range(counts.shape[0]):
                here = counts[position]
                bases = [int(here[code, [0, 1, 2, 3, GAP]].sum()) for code in range(4)]
                mutations = [int(here[_CODE[name[0]], _CODE[name[2]]]) for name in MUTATIONS]
                values = ("*", end, strand, position + 1, *bases, sum(bases), *mutations, clips[position])
                lines.append("\t".join(map(str, values)))
    return "\n".join(lines) + "\n"


def _rates(profile: DamageProfile, end: str, substitution: str) -> list[float]:
    """Return the rates of the positions shown; 0 where nothing was counted, as the tools have it."""
    observed, n = (values[:SHOWN_POSITIONS] for values in profile.tally(end, substitution))
    return np.divide(observed, n, out=np.zeros(n.size), where=n > 0).tolist()


def damageprofiler_json(profile: DamageProfile, sample: str) -> dict[str, Any]:
    """Return the content of DamageProfiler's dmgprof.json: the keys that MultiQC reads.

    Lengths are those of the reads' own bases; the standard deviation is that of a sample (n - 1).
    """
    counts = profile.lengths[1].sum(axis=0)
    present = np.flatnonzero(counts)
    n = counts[present]
    mean = float((present * n).sum() / n.sum())
    cumulative = np.cumsum(n)
    lower, upper = (present[np.searchsorted(cumulative, rank)] for rank in ((n.sum() + 1) // 2, n.sum() // 2 + 1))
    deviation = float(np.sqrt((n * (present - mean) ** 2).sum() / max(1, n.sum() - 1)))

    def histogram(strand: int) -> dict[str, int]:
        reads = profile.lengths[1, strand]
        return {str(length): int(reads[length]) for length in np.flatnonzero(reads)}

    return {
        "metadata": {
            "tool_name": "DamageProfiler", "version": f"layout, by NeanDL {__version__}", "sample_name": sample,
        },
        "lendist_fw": histogram(0),
        "lendist_rv": histogram(1),
        "dmg_5p": _rates(profile, "5p", "C>T"),
        "dmg_3p": _rates(profile, "3p", "G>A"),
        "summary_stats": {"mean_readlength": mean, "median": float(lower + upper) / 2, "std": deviation},
    }

"""A file read through once, to its last byte, by the reader that would use it; the verdict is kept in the workspace.

A verdict holds for a file of this size, time stamp and SHA-256: whoever looks it up for a file that has changed since
finds none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neandl_core.errors import InputError, NeanDLError
from neandl_core.files import read_json, require_file, sha256, write_json
from neandl_core.io.recognition import Recognised, recognise
from neandl_core.recording import Progress, no_progress


@dataclass(frozen=True)
class Verdict:
    """What a full check found.

    Attributes
    ----------
    path, size, modified_ns, sha256
        The file as it was.
    kind, format
        What it is; see `Recognised`.
    state
        good, bad, or ``not checked`` where that needs another file.
    text
        What is in it, or what is wrong, in a sentence.
    notes
        What is odd and harmless.
    simulated
        Whether it says of itself that NeanDL's simulation made it.
    """

    path: str
    size: int
    modified_ns: int
    sha256: str
    kind: str
    format: str
    state: str
    text: str
    notes: tuple[str, ...] = ()
    simulated: bool = False


def check_file(
    path: str | Path, reference: Path | None = None, threads: int = 2, progress: Progress = no_progress
) -> Verdict:
    """Read a file through and say whether it can be used.

    Parameters
    ----------
    path
        The file.
    reference
        Genome for CRAM files; without it they are recognised and not checked.
    threads
        Threads that unpack.

    Raises
    ------
    InputError
        If there is no such regular file. What is wrong with the content is in the verdict.
    """
    path = require_file(path, "file").resolve()
    before = path.stat()
    found = recognise(path)
    state, text, notes, simulated = "bad", found.problem, (), False
    if found.format == "CRAM" and reference is None:
        state, text = "not checked", "A CRAM file can only be read with its genome."
    elif found.kind in _READERS and not (found.problem and found.kind != "alignment"):
        try:
            text, notes, simulated = _READERS[found.kind](path, found, reference, threads, progress)
            state = "good"
        except NeanDLError as error:
            text = str(error)
    elif not text:
        state, text = "not checked", f"NeanDL does not use such files ({found.format})."
    digest = sha256(path) or ""
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputError("this file changed while it was read", path=path, advice="Check it again when it is complete.")
    return Verdict(
        str(path), after.st_size, after.st_mtime_ns, digest, found.kind, found.format, state, text, tuple(notes),
        simulated,
    )


def save_verdict(folder: Path, verdict: Verdict) -> None:
    """Keep a verdict in the workspace's folder of checks."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(_place(folder, verdict.path), asdict(verdict))


def find_verdict(folder: Path, path: Path) -> Verdict | None:
    """Return the kept verdict on a file, None if there is none or the file is not the one that was checked."""
    place = _place(folder, path.resolve())
    if not place.exists():
        return None
    try:
        verdict = Verdict(**read_json(place))
        status = path.stat()
    except (InputError, TypeError, OSError):
        return None
    fits = (verdict.size, verdict.modified_ns) == (status.st_size, status.st_mtime_ns)
    return verdict if fits else None


def _place(folder: Path, path: str | Path) -> Path:
    return folder / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"


_Read = tuple[str, list[str] | tuple[str, ...], bool]


def _alignment(path: Path, found: Recognised, reference: Path | None, threads: int, progress: Progress) -> _Read:
    from neandl_core.io.alignments import open_alignments
    from neandl_core.io.records import whole_records

    with open_alignments(path, reference, threads) as alignments:
        records = 0
        for data, done in alignments.chunks():
            records += int(whole_records(data)[1])
            progress(done, alignments.size, f"Reading {path.name}")
        if records == 0:
            raise InputError("there is not one read in this file", path=path)
        orders = {"coordinate": "sorted by place", "queryname": "sorted by name"}
        order = orders.get(alignments.sort_order, "not sorted")
        text = f"{records:,} records on {len(alignments.contigs):,} sequences, {order}."
        return text, alignments.notes, alignments.simulated


def _genome(path: Path, found: Recognised, reference: Path | None, threads: int, progress: Progress) -> _Read:
    from neandl_core.io.twobit import open_genome

    genome = open_genome(path)
    total = sum(genome.lengths.values())
    if found.format == "2bit":  # A FASTA file was read whole in being opened.
        for index, name in enumerate(genome.lengths):
            progress(index, len(genome.lengths), f"Reading {name}")
            genome.codes(name)
    return f"{len(genome.lengths):,} sequences, {total:,} bases.", genome.notes, False


def _intervals(path: Path, found: Recognised, reference: Path | None, threads: int, progress: Progress) -> _Read:
    from neandl_core.io.annotation import read_bed

    intervals = read_bed(path)
    lengths = intervals.table["end"] - intervals.table["start"]
    return (
        f"{len(lengths):,} intervals on {intervals.table['contig'].nunique():,} chromosomes, {int(lengths.sum()):,} "
        "bases in all.", intervals.notes, False,
    )


def _genes(path: Path, found: Recognised, reference: Path | None, threads: int, progress: Progress) -> _Read:
    from neandl_core.io.gene_tables import read_genes

    genes = read_genes(path)
    return f"{len(genes.table):,} genes.", genes.notes, False


def _sizes(path: Path, found: Recognised, reference: Path | None, threads: int, progress: Progress) -> _Read:
    from neandl_core.io.sizes import read_sizes

    sizes = read_sizes(path)
    return f"{len(sizes):,} sequences, {sum(sizes.values()):,} bases.", [], False


def _table(path: Path, found: Recognised, reference: Path | None, threads: int, progress: Progress) -> _Read:
    from neandl_core.gene_joins import is_gwas_catalog, read_any_table, read_traits
    from neandl_core.io.annotation import text_lines

    if found.format != "Parquet table" and not found.format.startswith("Excel"):
        header = next(text_lines(path, "table"), (1, ""))[1]
        if is_gwas_catalog(header.split("\t")):  # a million rows: too many for a table that is shown
            traits = read_traits(path)
            return f"{traits['trait'].nunique():,} traits of {traits['key'].nunique():,} genes.", [], False
    table = read_any_table(path)
    return f"{len(table):,} rows, {len(table.columns):,} columns.", [], False


_READERS: dict[str, Callable[..., Any]] = {
    "alignment": _alignment, "genome": _genome, "intervals": _intervals, "genes": _genes, "sizes": _sizes,
    "table": _table,
}

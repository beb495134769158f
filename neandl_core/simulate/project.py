"""Writes the simulated project: genome, intervals, genes, three BAM files, and the truth about all of them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.config import SHOWN_POSITIONS, SimulateSettings
from neandl_core.errors import OutputError, shorten
from neandl_core.recording import Progress, no_progress
from neandl_core.simulate.composition import CLASS_NAMES
from neandl_core.simulate.fragments import Damage, Reference
from neandl_core.simulate.genes import simulate_genes
from neandl_core.simulate.genome import Genome, class_gc, simulate_genome
from neandl_core.simulate.reads import KIND_NAMES, Individuals, Sample, header, simulate_sample

LINE = 60
"""Bases per line of the FASTA file."""


def simulate_project(
    folder: Path, settings: SimulateSettings, on_progress: Progress = no_progress
) -> dict[str, Any]:
    """Write all files of the simulated project into `folder` and return the summary.

    Files: reference.fa (+ .fai), introgressed.bed, depleted.bed, genes.tsv, ancient.bam, modern.bam, mixed.bam
    (+ .bai), and the truth: truth.tsv, loci_truth.tsv, gene_truth.tsv, reads_truth.tsv.gz (the reads of mixed.bam).

    Raises
    ------
    OutputError
        If the disk refuses the files.
    """
    import pysam

    try:
        return _write_project(folder, settings, on_progress)
    except OSError as error:
        raise OutputError(f"The simulated files cannot be written ({error.strerror or error}).") from None
    except pysam.SamtoolsError as error:
        raise OutputError(f"The simulated BAM files cannot be sorted or indexed ({shorten(str(error))}).") from None


def _write_project(folder: Path, settings: SimulateSettings, on_progress: Progress) -> dict[str, Any]:
    import pysam

    samples = (
        Sample("ancient", 0.0), Sample("modern", 1.0, fixed_length=True), Sample("mixed", settings.contamination)
    )
    steps = len(samples) + 1
    on_progress(0, steps, "Drawing the genome")
    genome = simulate_genome(settings)
    write_fasta(folder / "reference.fa", genome)
    pysam.faidx(str(folder / "reference.fa"))
    for label in CLASS_NAMES[1:]:
        _tsv(genome.intervals[genome.intervals["label"] == label][["contig", "start", "end", "haplotype"]],
             folder / f"{label}.bed", header_line=False)
    _tsv(genome.loci, folder / "loci_truth.tsv")
    rows, gene_truth = simulate_genes(genome, settings)
    locus_text = [f"{row.contig}:{row.start + 1}-{row.end}" for row in rows.itertuples()]
    _tsv(pd.DataFrame({"locus": locus_text, "symbol": rows["symbol"]}), folder / "genes.tsv")
    _tsv(gene_truth, folder / "gene_truth.tsv")

    reference = Reference(genome.sequences)
    individuals = Individuals.draw(reference, settings.seed)
    damage = Damage()
    counts: dict[str, dict[str, int]] = {}
    contamination = 0.0
    for stream, sample in enumerate(samples):
        on_progress(stream + 1, steps, f"Drawing {sample.name}.bam")
        truth = write_bam(folder, reference, individuals, sample, settings, damage, stream)
        of_kind = truth["kind"].value_counts()
        counts[sample.name] = {kind: int(of_kind.get(kind, 0)) for kind in KIND_NAMES} | {"records": len(truth)}
        if sample.name == "mixed":
            contamination = float((truth.loc[truth["kind"] == "usable", "origin"] == "contaminant").mean())
            _gzip_tsv(truth, folder / "reads_truth.tsv.gz")
    summary = _summary(settings, genome, rows, gene_truth, counts, contamination, damage)
    _tsv(_facts(summary), folder / "truth.tsv")
    return summary


def write_fasta(path: Path, genome: Genome) -> None:
    """Write a genome as FASTA, 60 bases per line."""
    with path.open("wb") as handle:
        for name, sequence in genome.sequences.items():
            handle.write(f">{name}\n".encode())
            whole = sequence.size // LINE * LINE
            block = np.full((whole // LINE, LINE + 1), ord("\n"), np.uint8)
            block[:, :LINE] = sequence[:whole].reshape(-1, LINE)
            handle.write(block.tobytes())
            if whole < sequence.size:
                handle.write(sequence[whole:].tobytes() + b"\n")


def write_bam(
    folder: Path, reference: Reference, individuals: Individuals, sample: Sample, settings: SimulateSettings,
    damage: Damage, stream: int,
) -> pd.DataFrame:
    """Write one sorted, indexed BAM file and return the truth about its records."""
    import pysam

    unsorted, path = folder / f".{sample.name}.sam", folder / f"{sample.name}.bam"
    tables = []
    with unsorted.open("w", encoding="ascii") as handle:
        handle.write(header(reference, sample))
        drawn = simulate_sample(reference, individuals, sample, settings.reads, damage, settings.seed, stream)
        for lines, truth in drawn:
            handle.write(lines)
            tables.append(truth)
    # Without --no-PG the header would carry the path of a temporary file.
    pysam.sort("--no-PG", "-@", str(settings.threads), "-o", str(path), str(unsorted))
    unsorted.unlink()
    pysam.index(str(path))
    return pd.concat(tables, ignore_index=True)


def _summary(
    settings: SimulateSettings, genome: Genome, rows: pd.DataFrame, gene_truth: pd.DataFrame,
    counts: dict[str, dict[str, int]], contamination: float, damage: Damage,
) -> dict[str, Any]:
    expected = damage.expected(SHOWN_POSITIONS).tolist()
    loci = genome.loci["label"].value_counts()
    intervals = genome.intervals["label"].value_counts()
    return {
        "simulated": True,
        "seed": settings.seed,
        "contamination": contamination,
        "damage": {
            "lambda": damage.termination, "delta_s": damage.delta_s, "delta_d": damage.delta_d,
            "c_to_t_5p": expected, "g_to_a_3p": expected,
        },
        "counts": {
            **counts,
            "loci": {label: int(loci[label]) for label in CLASS_NAMES[1:]},
            "intervals": {label: int(intervals[label]) for label in CLASS_NAMES[1:]},
            "genes": len(gene_truth),
            "gene_rows": len(rows),
            "genes_by_truth": {str(key): int(value) for key, value in gene_truth["truth"].value_counts().items()},
            "bases": sum(sequence.size for sequence in genome.sequences.values()),
            "chromosomes": len(genome.chromosomes),
        },
        "gc": class_gc(genome),
    }


def _facts(summary: dict[str, Any]) -> pd.DataFrame:
    """Lay the summary out as rows of parameter and value; names of nested values are joined by dots."""
    rows: list[tuple[str, object]] = []

    def add(name: str, value: object) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                add(f"{name}.{key}" if name else str(key), item)
        elif isinstance(value, list):
            for place, item in enumerate(value, start=1):
                add(f"{name}.{place}", item)
        else:
            rows.append((name, round(value, 6) if isinstance(value, float) else value))

    add("", summary)
    return pd.DataFrame(rows, columns=["parameter", "value"])


def _tsv(table: pd.DataFrame, path: Path, header_line: bool = True) -> None:
    table.to_csv(path, sep="\t", index=False, header=header_line, lineterminator="\n")


def _gzip_tsv(table: pd.DataFrame, path: Path) -> None:
    """Write a gzipped table whose bytes depend on the table alone, not on the clock."""
    text = table.to_csv(sep="\t", index=False, lineterminator="\n")
    path.write_bytes(gzip.compress(text.encode(), compresslevel=6, mtime=0))

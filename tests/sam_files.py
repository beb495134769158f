"""Small alignment files for tests, written by htslib from SAM text, and a reference to align them to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pysam

HEADER = "@HD\tVN:1.6\tSO:unsorted\n@SQ\tSN:chr1\tLN:1000\n@RG\tID:a\tSM:sample\n"


def line(name: str, flag: int, start: int, cigar: str, sequence: str, md: str | None, quality: int = 30) -> str:
    """One SAM line on chr1; `start` is 0-based."""
    place = "*\t0" if flag & 4 else f"chr1\t{start + 1}"
    fields = f"{name}\t{flag}\t{place}\t{quality}\t{cigar}\t*\t0\t0\t{sequence}\t{'I' * len(sequence)}\tXX:i:7"
    return fields + (f"\tMD:Z:{md}\n" if md is not None else "\n")


def write_bam(path: Path, lines: list[str], header: str = HEADER) -> Path:
    """Write SAM lines as BAM."""
    text = path.with_suffix(".sam")
    text.write_text(header + "".join(lines))
    pysam.view("-b", "-o", str(path), str(text), catch_stdout=False)
    return path


def write_fasta(path: Path, sequences: dict[str, str]) -> Path:
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
    return path


def random_record(rng: np.random.Generator, name: str, genome: str) -> tuple[str, str, list[tuple[int, str, str]]]:
    """Return (SAM line with MD, the same without, columns) of a random read with clips, gaps and N.

    Columns are (index in the read or -1 in a deletion, reference base or -, read base or -), clips left out, in the
    order in which they are stored.
    """
    letters = "ACGT"
    pick = lambda count: "".join(letters[i] for i in rng.integers(0, 4, count))  # noqa: E731
    operations = [(int(rng.integers(1, 60)), "M")]
    for _ in range(int(rng.integers(0, 4))):
        operations += [(int(rng.integers(1, 6)), "ID"[rng.integers(0, 2)]), (int(rng.integers(1, 60)), "M")]
    if rng.random() < 0.4:
        operations.insert(0, (int(rng.integers(1, 9)), "S"))
    if rng.random() < 0.4:
        operations.append((int(rng.integers(1, 9)), "S"))
    if rng.random() < 0.2:
        operations.append((3, "H"))
    start = int(rng.integers(0, len(genome) - 400))
    position, sequence, columns, md, run = start, "", [], "", 0
    for length, operation in operations:
        if operation == "S":
            sequence += pick(length)
        elif operation == "I":
            for base in pick(length):
                columns.append((len(sequence), "-", base))
                sequence += base
        elif operation == "D":
            md += f"{run}^{genome[position : position + length]}"
            run = 0
            for base in genome[position : position + length]:
                columns.append((-1, base, "-"))
            position += length
        elif operation == "M":
            for _ in range(length):
                reference = genome[position]
                base = reference if rng.random() < 0.7 else str(rng.choice(list("AACCGGTTN")))
                columns.append((len(sequence), reference, base))
                if base == reference:
                    run += 1
                else:
                    md += f"{run}{reference}"
                    run = 0
                sequence += base
                position += 1
    cigar = "".join(f"{length}{operation}" for length, operation in operations)
    flag = 16 if rng.random() < 0.5 else 0
    with_md = line(name, flag, start, cigar, sequence, md + str(run))
    return with_md, line(name, flag, start, cigar, sequence, None), columns

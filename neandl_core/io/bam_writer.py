"""Writing records of a BAM into another, byte for byte, in their order."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Self

import numpy as np
import pysam

from neandl_core import __version__
from neandl_core.io.alignments import Alignments
from neandl_core.io.records import gather_records


class BamWriter:
    """A BAM that takes records of `alignments` as they are stored. Use it as a context.

    The header is the input's with one more @PG line. `index` makes an index (CSI if a contig is too long for BAI).

    Attributes
    ----------
    path
        Where it is written.
    records
        How many were written.
    """

    def __init__(self, path: Path, alignments: Alignments) -> None:
        self.path = path
        self.records = 0
        self._contigs = alignments.contigs
        self._file = pysam.BGZFile(str(path), "wb")
        text = (alignments.header.rstrip("\n") + "\n" + _program_line(alignments.header)).lstrip("\n").encode()
        names = b"".join(
            struct.pack("<i", len(name.encode()) + 1) + name.encode() + struct.pack("<xi", length)
            for name, length in alignments.contigs
        )
        self._file.write(
            b"BAM\1" + struct.pack("<i", len(text)) + text + struct.pack("<i", len(alignments.contigs)) + names
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Write the end marker."""
        self._file.close()

    def write(self, chunk: np.ndarray, starts: np.ndarray, keep: np.ndarray) -> None:
        """Write those of the records that begin at `starts` of a chunk for which `keep` is true."""
        out = np.empty(chunk.size, np.uint8)
        self._file.write(out[: gather_records(chunk, starts, keep, out)].tobytes())
        self.records += int(np.count_nonzero(keep))

    def index(self) -> None:
        """Make the index beside the file, which must be sorted by coordinate and closed."""
        long = any(length >= 1 << 29 for _, length in self._contigs)
        pysam.index(*(["-c"] if long else []), str(self.path))


def _program_line(header: str) -> str:
    """Return the @PG line that this program adds, chained to the last one, with an id of its own."""
    programs = [
        dict(field.split(":", 1) for field in line.split("\t")[1:] if ":" in field)
        for line in header.splitlines() if line.startswith("@PG")
    ]
    taken = {program.get("ID") for program in programs}
    name, number = "NeanDL", 1
    while name in taken:
        name, number = f"NeanDL.{number}", number + 1
    followed = {program.get("PP") for program in programs}
    last = [program["ID"] for program in programs if program.get("ID") and program["ID"] not in followed]
    before = f"\tPP:{last[-1]}" if last else ""
    command = " ".join(["neandl_core", *sys.argv[1:]]).replace("\t", " ").replace("\n", " ")
    return f"@PG\tID:{name}\tPN:NeanDL{before}\tVN:{__version__}\tCL:{command}\n"

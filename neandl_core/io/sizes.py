"""Chromosome sizes: UCSC's ``chrom.sizes``, samtools' ``.fai`` (the same first two columns), or a genome itself."""

from __future__ import annotations

from pathlib import Path

from neandl_core.errors import InputError, shorten
from neandl_core.io.annotation import text_lines
from neandl_core.io.twobit import open_genome
from neandl_core.workspace import KINDS


def read_sizes(path: str | Path) -> dict[str, int]:
    """Return chromosome -> length in bases, in file order. A genome is read for it.

    Raises
    ------
    InputError
        At the first line without a name and a length, or if a name comes twice or none is there.
    """
    path = Path(path)
    if path.name.lower().endswith(KINDS["genome"]):
        return open_genome(path).lengths
    sizes: dict[str, int] = {}
    for number, line in text_lines(path, "file of chromosome sizes"):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) < 2 or not (fields[1].isascii() and fields[1].isdecimal()) or not 0 < int(fields[1]) < 2**31:
            raise InputError(
                f'expected a chromosome and its length in bases; the line is "{shorten(line)}"', path=path,
                place=f"line {number:,}", advice="Give a chrom.sizes file, or the .fai of the genome.",
            )
        if fields[0] in sizes:
            raise InputError(f"chromosome {shorten(fields[0])} is there twice", path=path, place=f"line {number:,}")
        sizes[fields[0]] = int(fields[1])
    if not sizes:
        raise InputError("there is no chromosome in this file", path=path)
    return sizes

"""Indexes by which a browser finds its way in a genome or a BAM file; made here, never taken from beside the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neandl_core.errors import InputError
from neandl_core.files import require_file
from neandl_core.io.bgzf import is_bgzf

LONGEST_BAI = 1 << 29
"""Bases of a chromosome up to which a .bai holds; beyond it a .csi is needed."""
KINDS = {"fasta": "FASTA", "fasta-bgzip": "FASTA, compressed in blocks", "2bit": "2bit", "bam": "BAM"}


def kind_of(path: Path) -> str:
    """Return what a file is, by its content: ``fasta``, ``fasta-bgzip``, ``2bit`` or ``bam``.

    Raises
    ------
    InputError
        If it is something else, or compressed so that no place in it can be found.
    """
    with require_file(path, "genome or BAM file").open("rb") as handle:
        head = handle.read(64)
    if head[:1] == b">":
        return "fasta"
    if head[:4] in (b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x43"):
        return "2bit"
    if head[:2] == b"\x1f\x8b":
        if not is_bgzf(head):
            raise InputError(
                "it is compressed as a whole, so no place in it can be found", path=path,
                advice="Compress it with bgzip, or unpack it.",
            )
        return "bam" if path.name.lower().endswith(".bam") else "fasta-bgzip"
    raise InputError("expected a FASTA, 2bit or BAM file", path=path)


def make_index(path: Path, folder: Path) -> dict[str, Any]:
    """Index a file into a folder.

    Parameters
    ----------
    path
        FASTA (plain or bgzip), 2bit, or BAM sorted by place.
    folder
        Gets ``index`` (.fai, .bai or .csi by its content) and for bgzip ``blocks`` (.gzi); a 2bit file needs none.

    Returns
    -------
    dict
        `kind`, `file`, `size` and `changed` (nanoseconds) of the file, `index` (its format), `sizes` (bases by
        sequence).

    Raises
    ------
    InputError
        If the file cannot be indexed.
    """
    import pysam

    kind = kind_of(path)
    found: dict[str, Any] = {"kind": kind, "file": str(path.resolve()), "size": path.stat().st_size,
                             "changed": path.stat().st_mtime_ns, "index": ""}
    try:
        if kind == "bam":
            with pysam.AlignmentFile(str(path), "rb", check_sq=False) as alignments:
                found["sizes"] = dict(zip(alignments.references, alignments.lengths, strict=True))
            far = max(found["sizes"].values(), default=0) > LONGEST_BAI
            found["index"] = "csi" if far else "bai"
            pysam.index("-c" if far else "-b", "-o", str(folder / "index"), str(path))
        elif kind != "2bit":
            words = ["--fai-idx", str(folder / "index")]
            if kind == "fasta-bgzip":
                words += ["--gzi-idx", str(folder / "blocks")]
            pysam.faidx(*words, str(path))
            found["index"] = "fai"
            lines = (folder / "index").read_text(encoding="utf-8").splitlines()
            found["sizes"] = {line.split("\t")[0]: int(line.split("\t")[1]) for line in lines}
    except (pysam.SamtoolsError, OSError, ValueError) as error:
        said = " ".join(str(error).split())[-160:]
        raise InputError(
            f"it could not be indexed ({said})", path=path,
            advice="A BAM file must be sorted by place: samtools sort. A FASTA file needs lines of one length.",
        ) from None
    return found

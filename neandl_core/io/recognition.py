"""What a file is, told by how it begins and never by its name. Quick: 64 kB are read; `checking.py` reads it all."""

from __future__ import annotations

import re
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

HEAD = 1 << 16
ZIP_MAGIC = b"PK\x03\x04"
TEXT_ENDINGS = (".tsv", ".txt", ".csv")
"""Of a text that is read although it lies, alone, in a ZIP archive."""
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_LOCUS = re.compile(r"(chr)?[\w.]+:\d+-\d+$")
_SAM = re.compile(rb"@(HD|SQ|RG|PG|CO)\t")
_TWO_BIT = (b"\x1a\x41\x27\x43", b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x44")
_STRANDS = ("+", "-", ".")
_SEQUENCE = re.compile(r"[A-Za-z*.\-]+$")


@dataclass(frozen=True)
class Recognised:
    """What a file is.

    Attributes
    ----------
    kind
        alignment, genome, intervals, genes, sizes, table, variants, raw reads, index or unknown.
    format
        In words, for example ``BAM``.
    ending
        The ending that files of this format have; empty for what NeanDL cannot use.
    problem
        What is wrong at first sight; empty if nothing.
    """

    kind: str
    format: str
    ending: str
    problem: str = ""


def recognise(path: str | Path) -> Recognised:
    """Tell what a file is by its content. Never raises for what is in it: the problem is part of the answer."""
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return Recognised("unknown", "no regular file", "", "This is a folder, a pipe or a device.")
        if status.st_size == 0:
            return Recognised("unknown", "empty", "", "The file is empty (0 bytes).")
        with path.open("rb") as handle:
            head = handle.read(HEAD)
            handle.seek(max(0, status.st_size - len(_BGZF_END)))
            tail = handle.read()
    except OSError as error:
        return Recognised("unknown", "unreadable", "", f"The file cannot be read ({error.strerror}).")
    if head[:2] != b"\x1f\x8b":
        return _plain(head)
    inside = _inflated(head)
    if inside is None:
        return Recognised("unknown", "gzip", "", "The compressed data are damaged at the very beginning.")
    blocks = head[12:14] == b"BC"
    found = _packed(inside, blocks)
    if blocks and found.kind == "alignment" and tail != _BGZF_END:
        return Recognised(found.kind, found.format, found.ending, "The end is missing: it was cut off in copying.")
    return found


def _inflated(head: bytes) -> bytes | None:
    """Return what the first compressed blocks hold, None if they cannot be unpacked."""
    out = b""
    rest = head
    while rest[:2] == b"\x1f\x8b" and len(out) < HEAD:
        unpacker = zlib.decompressobj(31)
        try:
            out += unpacker.decompress(rest, HEAD)
        except zlib.error:
            return out or None
        if not unpacker.eof:
            break
        rest = unpacker.unused_data
    return out


def _packed(inside: bytes, blocks: bool) -> Recognised:
    if inside[:4] == b"BAM\1":
        problem = "" if blocks else "Compressed with plain gzip; BAM is compressed in blocks (BGZF) by samtools."
        return Recognised("alignment", "BAM", ".bam", problem)
    if inside[:4] in (b"CSI\1", b"TBI\1"):
        return Recognised("index", "index of another file", "")
    if inside[:4] == b"BCF\2":
        return Recognised("variants", "BCF", "")
    found = _plain(inside)
    if found.kind in ("unknown", "variants", "raw reads") or not found.ending:
        return Recognised(found.kind, f"{found.format}, compressed", "", found.problem)
    return Recognised(found.kind, f"{found.format}, compressed", f"{found.ending}.gz", found.problem)


def _plain(head: bytes) -> Recognised:
    """Tell uncompressed content."""
    for start, kind, name, ending in (
        (b"CRAM", "alignment", "CRAM", ".cram"), (b"PAR1", "table", "Parquet table", ".parquet"),
        (b"BAI\1", "index", "index of another file", ""), (b"##fileformat=VCF", "variants", "VCF", ""),
    ):
        if head.startswith(start):
            return Recognised(kind, name, ending)
    if head[:4] in _TWO_BIT:
        return Recognised("genome", "2bit", ".2bit")
    if head.startswith(ZIP_MAGIC):
        if b"xl/" in head or b"[Content_Types].xml" in head:
            return Recognised("table", "Excel workbook", ".xlsx")
        # Its first file's name, whose length stands at byte 26.
        first = head[30 : 30 + int.from_bytes(head[26:28], "little")].decode("utf-8", "replace")
        if first.lower().endswith(TEXT_ENDINGS):
            return Recognised("table", "table in a ZIP archive", ".zip")
        return Recognised("unknown", "ZIP archive", "", "Unpack it and add what is inside.")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Recognised("unknown", "UTF-16 text", "", "Save it as UTF-8 text.")
    if b"\0" in head:
        return Recognised("unknown", "binary data", "", "This is no format that NeanDL knows.")
    if _SAM.match(head):
        return Recognised("alignment", "SAM", ".sam")
    text = head.decode("utf-8-sig", "replace")
    if text.count("\N{REPLACEMENT CHARACTER}") > 3:
        return Recognised("unknown", "binary data", "", "This is no format that NeanDL knows.")
    return _text(text, whole=len(head) < HEAD)


def _text(text: str, *, whole: bool) -> Recognised:
    """Tell a text file by its first lines; the last one may be cut."""
    lines = text.splitlines()
    lines = [line for line in (lines if whole else lines[:-1] or lines) if line.strip()]
    if not lines:
        return Recognised("unknown", "blank text", "", "There is nothing but blanks in it.")
    if lines[0].startswith(">"):
        letters = all(_SEQUENCE.match(line.strip()) for line in lines[1:50] if not line.startswith(">"))
        return Recognised("genome", "FASTA", ".fa", "" if letters else "There are other things than bases in it.")
    if lines[0].startswith("@") and len(lines) > 2 and lines[2].startswith("+"):
        return Recognised("raw reads", "FASTQ", "", "Align these reads to a genome first; NeanDL starts from BAM.")
    if lines[0].lstrip().lower().startswith(("<!doctype", "<html", "<?xml")):
        return Recognised("unknown", "web page", "", "A web page was saved instead of the file; download it again.")
    content = [line for line in lines if not line.startswith(("#", "track", "browser"))]
    if not content:
        return Recognised("unknown", "comments alone", "", "There is no row in it.")
    return _rows(lines, content)


def _is_fai(content: list[str]) -> bool:
    """Tell an index of a FASTA from a BED of five columns: bases of a line, and its bytes with the line's end."""
    rows = [line.split("\t") for line in content[:20]]
    return all(
        len(row) == 5 and all(field.isdecimal() for field in row[1:]) and 1 <= int(row[4]) - int(row[3]) <= 2
        and int(row[3]) > 0 for row in rows
    )


def _rows(lines: list[str], content: list[str]) -> Recognised:
    # One name of a column may stand above the rows.
    fields = (content[1] if len(content) > 1 else content[0]).split("\t")
    first = content[0].split("\t")
    if any(_LOCUS.match(line.split()[0]) for line in content[:2]):
        return Recognised("genes", "gene list (place and symbol)", ".txt")
    if len(fields) >= 11 and fields[1].isdecimal() and fields[3].isdecimal() and fields[4].isdecimal():
        return Recognised("alignment", "SAM", "", "The header is missing (the lines that begin with @SQ).")
    if len(fields) >= 8 and fields[3].isdecimal() and fields[4].isdecimal() and fields[6] in _STRANDS:
        gff3 = lines[0].startswith("##gff-version 3") or "=" in fields[-1]
        return Recognised("genes", "GFF3 gene models", ".gff3") if gff3 else Recognised(
            "genes", "GTF gene models", ".gtf"
        )
    for offset in (0, 1):
        if len(fields) >= offset + 10 and fields[offset + 2] in "+-" and fields[offset + 3].isdecimal() \
                and fields[offset + 4].isdecimal():
            return Recognised("genes", "gene models (UCSC table)", ".txt")
    if len(fields) == 5 and all(field.isdecimal() for field in fields[1:5]) and _is_fai(content):
        return Recognised("sizes", "FASTA index", ".fai")
    columns = fields if len(fields) > 2 else (content[1] if len(content) > 1 else content[0]).split()
    if len(columns) >= 3 and columns[1].isdecimal() and columns[2].isdecimal() and int(columns[1]) <= int(columns[2]):
        headed = not (len(first) > 2 and first[1].isdecimal())
        if headed and len(first) == len(fields) and any("gene" in name.lower() or "symbol" in name.lower()
                                                        for name in first):
            return Recognised("genes", "gene table", ".tsv")
        return Recognised("intervals", "BED intervals", ".bed")
    if len(fields) == 2 and fields[1].isdecimal():
        return Recognised("sizes", "chromosome sizes", ".sizes")
    for separator, name, ending in (("\t", "tab-separated table", ".tsv"), (",", "comma-separated table", ".csv")):
        widths = {line.count(separator) for line in content[:20]}
        if max(widths) > 0 and len(widths) == 1:
            named = [name.strip().strip('"').lower() for name in content[0].split(separator)]
            if any(word in named for word in ("symbol", "gene", "gene_name", "gene_id")) and "start" in named:
                return Recognised("genes", "gene table", ending)
            return Recognised("table", name, ending)
    if sum("\t" in line for line in content) > len(content) / 2:
        return Recognised("table", "tab-separated text", ".txt")
    if all(len(line.split()) == 1 for line in content):
        return Recognised("table", "list", ".txt")
    return Recognised("unknown", "text", "")

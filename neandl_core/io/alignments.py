"""Aligned reads: BAM, SAM and CRAM as chunks of whole BAM records, in memory that does not grow with the file.

BAM is read here, block by block, every checksum tested. SAM and CRAM are turned into a temporary uncompressed BAM by
htslib in a process of its own, so that whatever a damaged file does to htslib cannot reach this one. Nothing is looked
up in an index beside the file, since a stale one loses reads without a word; but if it counted other records than are
met, the file is refused.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from neandl_core.errors import InputError, shorten
from neandl_core.files import require_file
from neandl_core.io.bam_index import compare_with_index, indexed_records
from neandl_core.io.bgzf import GZIP_MAGIC, HEADROOM, BgzfFile, is_bgzf
from neandl_core.io.records import OK, whole_records
from neandl_core.io.shared_chunks import SharedChunks, Tell, Worker

LARGEST_HEADER = 1 << 28
SIMULATED_MARK = "simulated by NeanDL"
"""What a @CO line of the header says when NeanDL's own simulation made the file."""
_WANTED = "a BAM, SAM or CRAM file"
_SAM_HEADER = re.compile(rb"@(HD|SQ|RG|PG|CO)\t")
_KNOWN_BEGINNINGS = (
    (b">", "a FASTA file"),
    (b"##fileformat=VCF", "a VCF file"),
    (b"version https://git-lfs", "a Git LFS pointer (the data themselves were never downloaded)"),
    (b"<", "a web page or XML"),
    (b"PK\3\4", "a zip archive"),
    (b"%PDF", "a PDF"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"BAM\1", "an uncompressed BAM file (convert it with samtools view -b)"),
    (b"@", "a FASTQ file or other text that begins with @"),
)
_OTHER_ENDINGS = {
    ".vcf": "variants", ".bcf": "variants", ".bed": "intervals", ".gff": "annotation", ".gtf": "annotation",
    ".fa": "a genome", ".fna": "a genome", ".fasta": "a genome", ".fq": "raw reads", ".fastq": "raw reads",
    ".exe": "a program",
}
_USUAL_CONTIG = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.*+-]*(\|[0-9A-Za-z_.*+-]*)*")
"""Names that need no second look. The format allows many more characters, and some files do not keep to it."""
_CONVERT = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30)); "
    "import pysam; pysam.view(*sys.argv[1:], catch_stdout=False)"
)


class Alignments:
    """An alignment file, opened and its header checked. Use it as a context.

    Attributes
    ----------
    path, kind
        The file and what it is: ``BAM``, ``SAM`` or ``CRAM``.
    header
        The header's text.
    contigs
        (name, length in bases) in the order of the reference ids of the records.
    read_groups
        Read group id -> its other fields (``SM``, ``LB``, ...).
    sort_order
        What the header says: ``coordinate``, ``queryname``, ``unsorted`` or ``unknown``.
    simulated
        Whether NeanDL's own simulation made the file.
    size
        Compressed bytes in all; what `chunks` reports progress against.
    notes
        What was odd and harmless, in sentences.
    """

    def __init__(self, path: Path, kind: str, bam: Path, threads: int, holder: tempfile.TemporaryDirectory | None):
        self.path = path
        self.kind = kind
        self._threads = threads
        self._holder = holder
        self._file = BgzfFile(bam, "BAM file")
        self.size = self._file.size
        self.notes = list(self._file.notes)
        try:
            self._read_header()
            self._indexed = indexed_records(path) if kind == "BAM" else None
        except InputError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and remove the temporary one, if there was one."""
        self._file.close()
        if self._holder is not None:
            self._holder.cleanup()

    def chunks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield (uint8 array of whole records one after another, compressed bytes read so far).

        May be called again to read the file again. An array is valid until the next but one is asked for: its memory
        is used again.

        Raises
        ------
        InputError
            Where a block is corrupt, a record impossible, or the file ends within a record; at the end, if the index
            beside the file counted another number of records.
        """
        tail, skip, records = b"", self._header_bytes, 0
        for buffer, end, done in self._file.buffers(self._threads):
            if skip >= end - HEADROOM:
                skip -= end - HEADROOM
                continue
            start, skip = HEADROOM + skip - len(tail), 0
            if start < 0:  # a record longer than the room before the bytes
                buffer = np.concatenate((np.frombuffer(tail, np.uint8), buffer[HEADROOM:end]))
                start, end = 0, buffer.size
            elif tail:
                buffer[start : start + len(tail)] = np.frombuffer(tail, np.uint8)
            data = buffer[start:end]
            data.flags.writeable = False
            whole, count, state = whole_records(data)
            if whole:
                yield data[:whole], done
            records += count
            tail = data[whole:].tobytes()
            if state != OK:
                raise self._impossible(tail, records)
        self._check_end(tail, records)

    @property
    def threads(self) -> int:
        """Threads that may work on the file."""
        return max(1, self._threads)

    def share_chunks(self, workers: Sequence[Worker], tell: Tell) -> None:
        """Give the same chunks to several workers, each in a thread of its own; see `shared_chunks.SharedChunks`.

        Raises
        ------
        InputError
            As `chunks`, and what a worker raises; the first one in the file.
        """
        shared = SharedChunks(self._file, self._header_bytes)
        shared.read(workers, tell)
        if shared.impossible:
            raise self._impossible(shared.tail, shared.records)
        self._check_end(shared.tail, shared.records)

    def _check_end(self, tail: bytes, records: int) -> None:
        if tail:
            raise InputError(
                "the file is truncated: it ends within this record", path=self.path,
                place=f"record {records + 1:,}", advice="Copy or download it again and compare the sizes.",
            )
        compare_with_index(self.path, records, self._indexed)

    def _impossible(self, head: bytes, records: int) -> InputError:
        place = f"record {records + 1:,}"
        if head[:4] == b"BAM\1":
            return InputError(
                "a second BAM header begins here: files were joined end to end", path=self.path, place=place,
                advice="Join them with samtools cat or samtools merge.",
            )
        size = int.from_bytes(head[:4], "little", signed=True)
        return InputError(
            f"the file is corrupt: this record claims {size:,} bytes", path=self.path, place=place,
            advice="Copy or download it again and compare the sizes.",
        )

    def _read_header(self) -> None:
        """Read the header's text and reference list, and make sure that they agree."""
        data = bytearray()
        needed = 12
        pieces = self._file.groups(1)

        def have(upto: int) -> None:
            nonlocal needed
            needed = upto
            while len(data) < upto:
                piece = next(pieces, None)
                if piece is None:
                    raise self._header_fault("the file ends within the header")
                data.extend(piece[0])

        have(8)
        if data[:4] != b"BAM\1":
            raise self._header_fault("it does not begin with BAM's mark")
        text_size = int.from_bytes(data[4:8], "little", signed=True)
        if not 0 <= text_size <= LARGEST_HEADER:
            raise self._header_fault(f"it claims {text_size:,} bytes of text")
        have(12 + text_size)
        self.header = bytes(data[8 : 8 + text_size]).rstrip(b"\0").decode("utf-8", "replace")
        count = int.from_bytes(data[8 + text_size : 12 + text_size], "little", signed=True)
        if not 0 <= count <= LARGEST_HEADER // 9:
            raise self._header_fault(f"it claims {count:,} reference sequences")
        at = 12 + text_size
        contigs: list[tuple[str, int]] = []
        for number in range(1, count + 1):
            have(at + 4)
            size = int.from_bytes(data[at : at + 4], "little", signed=True)
            if not 1 <= size <= 1 << 16:
                raise self._header_fault(f"reference sequence {number:,} has a name of {size:,} bytes")
            have(at + 8 + size)
            raw = bytes(data[at + 4 : at + 3 + size])
            length = int.from_bytes(data[at + 4 + size : at + 8 + size], "little", signed=True)
            contigs.append((self._contig_name(raw, number), length))
            at += 8 + size
        pieces.close()
        self._header_bytes = at
        self.contigs = tuple(contigs)
        self._check_contigs()
        self._read_lines()

    def _contig_name(self, raw: bytes, number: int) -> str:
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self._header_fault(f"the name of reference sequence {number:,} is not UTF-8 text") from None
        if not name or name[0] in "=*" or "\0" in name:
            raise self._header_fault(f'reference sequence {number:,} has the impossible name "{shorten(name)}"')
        return name

    def _header_fault(self, problem: str) -> InputError:
        return InputError(f"the header is damaged: {problem}", path=self.path, advice="Write the file anew.")

    def _check_contigs(self) -> None:
        names = [name for name, _ in self.contigs]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise self._header_fault(f'the reference sequence "{shorten(twice)}" is listed twice')
        listed = []
        for line in self.header.splitlines():
            if line.startswith("@SQ\t"):
                fields = dict(field.split(":", 1) for field in line.split("\t")[1:] if ":" in field)
                listed.append((fields.get("SN", ""), fields.get("LN", "")))
        if listed and listed != [(name, str(length)) for name, length in self.contigs]:
            raise self._header_fault("its @SQ lines and its binary list of reference sequences differ")
        odd = [name for name in names if not _USUAL_CONTIG.fullmatch(name)]
        if odd:
            self.notes.append(
                f"{len(odd):,} of {len(names):,} contig names hold unusual characters (such as "
                f'"{shorten(odd[0], 40)}"); they are taken as they are.'
            )

    def _read_lines(self) -> None:
        self.read_groups: dict[str, dict[str, str]] = {}
        self.sort_order = "unknown"
        self.simulated = False
        for line in self.header.splitlines():
            fields = dict(field.split(":", 1) for field in line.split("\t")[1:] if ":" in field)
            if line.startswith("@HD"):
                self.sort_order = fields.get("SO", "unknown")
            elif line.startswith("@RG"):
                self.read_groups[fields.get("ID", "")] = fields
            elif line.startswith("@CO"):
                self.simulated |= SIMULATED_MARK in line


def open_alignments(path: str | Path, reference: str | Path | None = None, threads: int = 2) -> Alignments:
    """Open a BAM, SAM or CRAM file, whatever its name says.

    Parameters
    ----------
    path
        The file.
    reference
        FASTA file; needed for CRAM, not looked at for others.
    threads
        Threads that unpack blocks ahead of the reader.

    Raises
    ------
    InputError
        If it is something else (named), truncated, damaged, CRAM without a reference, or its header contradicts
        itself.
    """
    path = require_file(path, "BAM, SAM or CRAM file")
    kind = _sniff(path)
    _check_name(path, kind)
    if kind == "BAM":
        alignments = Alignments(path, kind, path, threads, None)
        alignments.notes += _name_notes(path, kind)
        return alignments
    if kind == "CRAM" and reference is None:
        raise InputError("this is a CRAM file, which can only be read with its reference genome", path=path,
                         advice="Give the FASTA that the reads were aligned to with --reference.")
    holder = tempfile.TemporaryDirectory(prefix="neandl-")
    try:
        notes = _line_notes(path) if kind == "SAM" else []
        notes += _convert(path, kind, reference, Path(holder.name))
        alignments = Alignments(path, kind, Path(holder.name) / "reads.bam", threads, holder)
    except BaseException:
        holder.cleanup()
        raise
    alignments.notes += [*_name_notes(path, kind), *notes]
    return alignments


def _check_name(path: Path, kind: str) -> None:
    """Refuse a name that says that the file is something else."""
    if any(unicodedata.category(letter) in ("Cc", "Cf") for letter in path.name):
        raise InputError(
            "the file's name holds an invisible character, which can make it look like another", path=path,
            advice="Rename it.",
        )
    suffix = next((part.lower() for part in reversed(path.suffixes) if part.lower() not in (".gz", ".bgz")), "")
    if suffix in _OTHER_ENDINGS:
        raise InputError(
            f"this is a {kind} file, but the ending {suffix} says that it holds {_OTHER_ENDINGS[suffix]}", path=path,
            advice="Rename it if it is the right file.",
        )


def _name_notes(path: Path, kind: str) -> list[str]:
    """Return what is odd about a file's name."""
    ending = path.suffix or path.name
    if ending.lower() in (".bam", ".sam", ".cram") and ending.lower() != f".{kind.lower()}":
        return [f"{path.name} is a {kind} file, whatever its ending says."]
    return [f"The file has no name but {path.name}."] if path.name.lower() in (".bam", ".sam", ".cram") else []


def _sniff(path: Path) -> str:
    """Return BAM, SAM or CRAM by what the file begins with."""
    with path.open("rb") as handle:
        head = handle.read(1 << 16)
    if head[:2] == GZIP_MAGIC:
        if len(head) < 18:
            raise InputError(f"this file is truncated: it has only {len(head)} bytes", path=path,
                             advice="Copy or download it again and compare the sizes.")
        if not is_bgzf(head):
            raise InputError(
                f"expected {_WANTED}, got plain gzip", path=path,
                advice="Unpack it with gunzip; BAM is compressed in blocks (BGZF) by samtools.",
            )
        with BgzfFile(path, "BAM file") as file:
            head = next((text for text, _ in file.groups(1) if text), b"")
        if head[:4] == b"BAM\1":
            return "BAM"
        if not head:
            raise InputError(f"expected {_WANTED}, got an empty one: it holds only the end marker", path=path)
        if _SAM_HEADER.match(head):
            return "SAM"
        raise InputError(f"expected {_WANTED}, got {_name_of(head)}, compressed", path=path)
    if head[:4] == b"CRAM":
        return "CRAM"
    if _SAM_HEADER.match(head):
        return "SAM"
    raise InputError(f"expected {_WANTED}, got {_name_of(head)}", path=path)


def _name_of(head: bytes) -> str:
    """Say what a file is by its beginning."""
    for beginning, name in _KNOWN_BEGINNINGS:
        if head.lstrip()[: len(beginning)] == beginning or head[: len(beginning)] == beginning:
            return name
    line = head.split(b"\n", 1)[0]
    if line.count(b"\t") >= 10 and line.split(b"\t")[1].isdigit():
        return "SAM without its header (the lines that begin with @SQ are missing)"
    printable = sum(32 <= byte < 127 or byte in (9, 10, 13) for byte in head[:512])
    if printable < 0.9 * len(head[:512]):
        return "binary data of another kind"
    return f'text ("{shorten(line[:200].decode("utf-8", "replace"), 40)}")'


def _convert(path: Path, kind: str, reference: str | Path | None, folder: Path) -> list[str]:
    """Write `reads.bam` into `folder` with htslib in a process of its own, and return its warnings as sentences."""
    options = ["-u", "-h", "-o", str(folder / "reads.bam")]
    if kind == "CRAM":
        genome = require_file(str(reference), "genome (FASTA file)").resolve()
        # htslib writes its index beside the file it is given, and believes one that lies there: give it a link in a
        # folder of its own.
        link = folder / ("genome.fa.gz" if _is_gzip(genome) else "genome.fa")
        link.symlink_to(genome)
        options += ["-T", str(link)]
    environment = os.environ | {"REF_PATH": os.devnull, "REF_CACHE": os.devnull}
    done = subprocess.run(
        [sys.executable, "-c", _CONVERT, *options, str(path.resolve())],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, check=False,
    )
    said = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.startswith(("[E::", "[W::"))]
    said = [shorten(re.sub(r"^\[(.)::[^\]]*\] ?", "", line.replace(str(folder), "")), 200) for line in said]
    if done.returncode != 0:
        reason = said[0].rstrip(". ") if said else "htslib gave no reason"
        raise InputError(f"this {kind} file cannot be read: {reason}", path=path)
    unknown = next((line for line in said if "unrecognized reference name" in line), None)
    if unknown:
        raise InputError(
            f"this {kind} file names a reference sequence that its header does not list ({unknown.rstrip('. ')})",
            path=path, advice="Put the missing @SQ line into the header.",
        )
    return [f"htslib says of {path.name}: {line.rstrip('. ')}." for line in dict.fromkeys(said)]


def _line_notes(path: Path) -> list[str]:
    """Return what is odd about the lines of a SAM file, which htslib passes over without a word."""
    with path.open("rb") as handle:
        head = handle.read(1 << 16)
    lines = head.split(b"\n")
    notes = ["Its lines end as in Windows (CR LF)."] if lines[0].endswith(b"\r") else []
    if any(line.startswith(b"@HD\t") for line in lines[1:]):
        notes.append("The header's @HD line is not its first line, where it belongs.")
    return notes


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(2) == GZIP_MAGIC

"""Genomes: FASTA files, plain, gzipped or bgzipped, one chromosome in memory at a time.

The file is read once when it is opened, to check every letter and to note where each sequence lies. An index (`.fai`)
beside it is neither used nor written; one that does not fit is refused, as other programs would read wrong bases by it
without a word.
"""

from __future__ import annotations

import gzip
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from neandl_core.errors import InputError, shorten
from neandl_core.files import check_unpacked, require_file
from neandl_core.io.bgzf import GZIP_MAGIC, BgzfFile, Block, is_bgzf

try:
    from isal import igzip as _gzip
    from isal.isal_zlib import error as _UnpackError
except ImportError:  # pragma: no cover - depends on the installation
    _gzip = gzip
    _UnpackError = zlib.error

BASES = b"ACGTacgt"
AMBIGUOUS = b"RYSWKMBDHVryswkmbdhv"
"""IUPAC codes that stand for several bases; read as N and counted."""
GAPS = b"-.*"
"""Gap and stop characters; read as N and counted."""
_UNKNOWN = b"Nn"
_BLANK = b"\n\r \t"
_PIECE = 1 << 22
_NOT_SEQUENCE = "It should be a FASTA file: lines of sequence after lines that begin with '>'."

_LONGEST_HEADER = 1 << 20
_STRANGERS = (
    (b"Uu", "this looks like RNA"),
    (b"\0", "a NUL byte, so the file is damaged"),
    (b">", "a '>' inside a line"),
    (b"EFILPQXZJOefilpqxzjo", "this looks like protein"),
    (b"@+", "this looks like FASTQ"),
    (b";", "old-style comments are not read"),
)

_OTHER_FILES = ((b"@", "a FASTQ or SAM file"), (b"BAM\1", "a BAM file"), (b"CRAM", "a CRAM file"),
                (b"PK\3\4", "a zip archive or spreadsheet"), (b"##fileformat=VCF", "variants (VCF)"))

_CODES = np.full(256, 4, np.uint8)
for _code, _letters in enumerate(("Aa", "Cc", "Gg", "Tt")):
    _CODES[[ord(letter) for letter in _letters]] = _code
_CODE_TABLE = _CODES.tobytes()
_ALLOWED_IN_NAMES = re.compile(r"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*")
"""Names that alignment files can hold (SAM specification, section 1.2.1)."""
_MANY_SEQUENCES = 50_000
_LARGEST_INDEX = 64 << 20


@dataclass
class _Entry:
    """Where one sequence lies: plain byte offsets, its length in bases, its letters that stand for several bases."""

    name: str
    line: int
    start: int
    end: int = 0
    length: int = 0
    ambiguous: int = 0
    unknown: int = 0


class Genome:
    """A FASTA file, checked and opened.

    Attributes
    ----------
    path
        The file.
    names
        Sequence names in the file's order: the header up to its first blank.
    lengths
        Name -> bases.
    ambiguous
        Letters such as R or Y in the whole file; they are read as N.
    notes
        What was odd and harmless, in sentences.

    Raises
    ------
    InputError
        Naming file and line, if it is empty, not FASTA, truncated, holds letters that are no nucleotide code, a name
        twice, or nothing but N; or if an index beside it says something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = require_file(path, "genome (FASTA file)")
        self.notes: list[str] = []
        with self.path.open("rb") as handle:
            head = handle.read(64)
        self._blocks: list[Block] = []
        self._kind = "bgzip" if is_bgzf(head) else "gzip" if head[:2] == GZIP_MAGIC else "plain"
        self._entries = _Indexer(self.path, self.notes).run(self._pieces())
        self.names = tuple(self._entries)
        self.lengths = {name: entry.length for name, entry in self._entries.items()}
        self.ambiguous = sum(entry.ambiguous for entry in self._entries.values())
        self._check_index()
        if all(entry.unknown + entry.ambiguous == entry.length for entry in self._entries.values()):
            raise InputError("this genome holds no A, C, G or T, only N", path=self.path)
        if self.ambiguous:
            self.notes.append(f"{self.ambiguous:,} letters of {self.path.name} stand for several bases; read as N.")
        self._note_oddities()
        self._plain_starts = np.cumsum([0, *(block.plain for block in self._blocks)]).tolist()

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @property
    def total(self) -> int:
        """Bases in all."""
        return sum(self.lengths.values())

    def codes(self, name: str) -> np.ndarray:
        """Return one sequence as codes.

        Returns
        -------
        (length,) uint8 array, read-only
            0-3 for A, C, G, T in either case; 4 for everything else.

        Raises
        ------
        InputError
            If there is no such sequence, or the file has changed since it was opened.
        """
        try:
            entry = self._entries[name]
        except KeyError:
            raise InputError(f"there is no sequence named {shorten(name)}", path=self.path) from None
        codes = self._text(entry.start, entry.end).translate(_CODE_TABLE, _BLANK)
        if len(codes) != entry.length:
            raise InputError("this genome was changed while it was being read", path=self.path)
        return np.frombuffer(codes, np.uint8)

    def _note_oddities(self) -> None:
        """Say what is odd about the sequences as a whole."""
        name = self.path.name
        if self._kind == "gzip":
            self.notes.append(f"{name} is plain gzip, read from its beginning each time; bgzip would be faster.")
        empty = [entry.name for entry in self._entries.values() if not entry.length]
        if empty:
            self.notes.append(f"{name}: {len(empty):,} names have no sequence ({shorten(', '.join(empty[:3]))}).")
        odd = [known for known in self.names if not _ALLOWED_IN_NAMES.fullmatch(known)]
        if odd:
            self.notes.append(
                f"{name}: {len(odd):,} sequence names hold characters that alignment files do not allow "
                f"({shorten(', '.join(odd[:3]))})."
            )
        if len(self.names) > _MANY_SEQUENCES:
            self.notes.append(
                f"{name} holds {len(self.names):,} sequences, {self.total // len(self.names):,} bases each on average: "
                "fragments rather than chromosomes."
            )

    def _check_index(self) -> None:
        """Refuse an index (`.fai`) beside the genome that says something else than the genome itself.

        Raises
        ------
        InputError
            Naming the index and its first wrong line.
        """
        index = self.path.with_name(f"{self.path.name}.fai")
        if not index.is_file() or index.stat().st_size > _LARGEST_INDEX:
            return
        advice = f"Delete it, or make it again with samtools faidx, if {self.path.name} is whole."
        listed = index.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(listed, 1):
            fields = line.split("\t")
            entry = self._entries.get(fields[0])
            if entry is None or len(fields) < 3 or fields[1:3] != [str(entry.length), str(entry.start)]:
                have = f"{entry.length:,} bases from byte {entry.start:,}" if entry else "no sequence of that name"
                raise InputError(
                    f'this index does not fit the genome: its line is "{shorten(line)}", and {self.path.name} has '
                    f"{have}", path=index, place=f"line {number:,}", advice=advice,
                )
        missing = self._entries.keys() - {line.split("\t")[0] for line in listed}
        missing = [name for name in self.names if name in missing and self.lengths[name]]
        if missing:
            raise InputError(
                f'this index does not list "{shorten(missing[0])}", one of {len(missing):,} sequences of '
                f"{self.path.name} that it lacks", path=index, advice=advice,
            )

    def _pieces(self) -> Iterator[bytes]:
        """Yield the plain text from its beginning."""
        if self._kind == "bgzip":
            with BgzfFile(self.path, "bgzipped FASTA file") as file:
                self._blocks = list(file.blocks())
                check_unpacked(self.path, sum(block.plain for block in self._blocks))
                self.notes += file.notes
                for text, _ in file.groups():
                    yield text
            return
        opener = _gzip.open if self._kind == "gzip" else open
        try:
            with opener(self.path, "rb") as handle:
                unpacked = 0
                while piece := handle.read(_PIECE):
                    unpacked += len(piece)
                    if self._kind == "gzip":
                        check_unpacked(self.path, unpacked)
                    yield piece
        except EOFError:
            raise InputError(
                "this gzip file is truncated", path=self.path, advice="Copy or download it again."
            ) from None
        except (OSError, zlib.error, _UnpackError) as error:
            raise InputError(f"this file cannot be unpacked ({error})", path=self.path) from None

    def _text(self, start: int, end: int) -> bytes:
        """Return plain bytes `start` to `end`."""
        if self._kind != "bgzip":
            with (_gzip.open if self._kind == "gzip" else open)(self.path, "rb") as handle:
                handle.seek(start)
                return handle.read(end - start)
        first = bisect_right(self._plain_starts, start) - 1
        last = bisect_right(self._plain_starts, max(start, end - 1)) - 1
        begins = self._plain_starts[first]
        pieces: list[bytes] = []
        have = 0
        with BgzfFile(self.path, "bgzipped FASTA file") as file:
            for text, _ in file.groups(start=self._blocks[first].offset):
                pieces.append(text)
                have += len(text)
                if begins + have >= self._plain_starts[last + 1]:
                    break
        return b"".join(pieces)[start - begins : end - begins]


class _Indexer:
    """Reads the whole text once: checks every letter and notes where each sequence lies."""

    def __init__(self, path: Path, notes: list[str]) -> None:
        self.path = path
        self.notes = notes
        self.entries: dict[str, _Entry] = {}
        self.line = 1
        self.gaps = 0
        self._entry: _Entry | None = None
        self._lines = self._carriage_returns = 0
        self._blank_lines = False

    def run(self, pieces: Iterable[bytes]) -> dict[str, _Entry]:
        """Return name -> entry in the file's order."""
        offset, carry, line_starts, first = 0, b"", True, True
        for piece in pieces:
            buffer = carry + piece
            at = self._check_beginning(buffer) if first else 0
            first, carry = False, b""
            while True:
                header = at if line_starts and buffer[at : at + 1] == b">" else buffer.find(b"\n>", at) + 1
                if header == 0 and not (line_starts and at == 0 and buffer[:1] == b">"):
                    self._sequence(buffer[at:])
                    line_starts = buffer.endswith(b"\n")
                    offset += len(buffer)
                    break
                self._sequence(buffer[at:header])
                line_starts = True
                line_end = buffer.find(b"\n", header)
                if line_end < 0:
                    carry = buffer[header:]
                    offset += header
                    if len(carry) > _LONGEST_HEADER:
                        raise self._error("this header line has no end", "Are its line ends old Mac's (CR)?")
                    break
                self._close(offset + header)
                self._header(buffer[header + 1 : line_end], offset + line_end + 1)
                at = line_end + 1
        if carry:
            self._close(offset)
            self._header(carry[1:], offset + len(carry))
            offset += len(carry)
        self._close(offset)
        if not self.entries:
            raise InputError("there is no sequence in this file, only blanks", path=self.path, advice=_NOT_SEQUENCE)
        self._note_layout()
        return self.entries

    def _note_layout(self) -> None:
        name = self.path.name
        if 0 < self._carriage_returns < self._lines:
            self.notes.append(f"{name} mixes Windows and Unix line ends; both were read.")
        if self._blank_lines:
            self.notes.append(f"{name}: blank lines inside sequences were skipped.")
        if self.gaps:
            self.notes.append(f"{name}: {self.gaps:,} gap or stop characters (- . *) were read as N.")

    def _check_beginning(self, buffer: bytes) -> int:
        """Return where the text begins: after a byte order mark, if there is one."""
        if buffer[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError("this is UTF-16 text", path=self.path, advice="Save it as plain text (ASCII or UTF-8).")
        if buffer[:3] == b"\xef\xbb\xbf":
            self.notes.append(f"The byte order mark at the beginning of {self.path.name} was skipped.")
            return 3
        return 0

    def _sequence(self, text: bytes) -> None:
        """Check a stretch of sequence lines and add it to the open entry."""
        if not text:
            return
        rest = text.translate(None, BASES + _BLANK)
        if self._entry is None:
            bare = text.strip()
            if bare:
                known = (what for start, what in _OTHER_FILES if bare.startswith(start))
                found = next(known, f'"{_show(bare.splitlines()[0])}"')
                raise self._error(f"expected a line that begins with '>', got {found}", _NOT_SEQUENCE)
        else:
            unknown = rest.count(b"N") + rest.count(b"n")
            if unknown < len(rest):
                wrong = rest.translate(None, AMBIGUOUS + _UNKNOWN)
                gaps = sum(wrong.count(gap) for gap in GAPS)
                if gaps < len(wrong):
                    self._refuse_letter(text, wrong.translate(None, GAPS)[:1])
                self._entry.ambiguous += len(rest) - unknown - gaps
                self.gaps += gaps
                unknown += gaps
            self._entry.unknown += unknown
            lines, returns = text.count(b"\n"), text.count(b"\r")
            self._lines += lines
            self._carriage_returns += returns
            self._entry.length += len(text) - lines - returns - text.count(b" ") - text.count(b"\t")
            if not self._blank_lines and (b"\n\n" in text or b"\n\r\n" in text):
                inside = text.rstrip(_BLANK)
                self._blank_lines = b"\n\n" in inside or b"\n\r\n" in inside
        self.line += text.count(b"\n")

    def _refuse_letter(self, text: bytes, letter: bytes) -> NoReturn:
        at = text.find(letter)
        self.line += text.count(b"\n", 0, at)
        line = text[text.rfind(b"\n", 0, at) + 1 :].split(b"\n", 1)[0]
        what = next((why for letters, why in _STRANGERS if letter in letters), "it is no nucleotide code")
        raise self._error(f'"{_show(letter)}" in the sequence: {what}; the line is "{_show(line)}"', _NOT_SEQUENCE)

    def _header(self, text: bytes, start: int) -> None:
        """Open the entry that a header line begins."""
        text = text.rstrip(b"\r\n")
        if b"\r" in text:
            raise self._error("the line ends are old Mac's (CR alone)", "Save the file with Unix line ends.")
        try:
            name = text.decode("utf-8")
        except UnicodeDecodeError:
            raise self._error(f'the name "{_show(text)}" is not UTF-8 text') from None
        if not name or name[0].isspace():
            raise self._error("'>' is not followed by a name")
        name = name.split(maxsplit=1)[0]
        if "\0" in name:
            raise self._error(f'the name "{shorten(name)}" holds a NUL byte')
        if name in self.entries:
            raise self._error(f'the name "{shorten(name)}" comes twice, first in line {self.entries[name].line:,}')
        self._entry = self.entries[name] = _Entry(name, self.line, start)
        self.line += 1

    def _close(self, end: int) -> None:
        """End the open entry at a plain byte offset."""
        if self._entry is None:
            return
        self._entry.end = end

    def _error(self, problem: str, advice: str | None = None) -> InputError:
        return InputError(problem, path=self.path, place=f"line {self.line:,}", advice=advice)


def _show(text: bytes) -> str:
    return shorten(text[:200].decode("utf-8", "replace"), 40)

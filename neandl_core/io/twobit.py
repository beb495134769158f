"""Genomes in UCSC's 2bit format, read as FASTA files are, and the one function that opens either."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from neandl_core.errors import InputError, shorten
from neandl_core.files import require_file
from neandl_core.io.sequences import Genome

_SIGNATURES = (b"\x43\x27\x41\x1a", b"\x1a\x41\x27\x43")
_PIECE = 1 << 24
_CODES = bytes({65: 0, 97: 0, 67: 1, 99: 1, 71: 2, 103: 2, 84: 3, 116: 3}.get(letter, 4) for letter in range(256))
_ADVICE = "Copy or download it again."


class TwoBitGenome:
    """A 2bit file, with the interface of `Genome`. The format knows A, C, G, T and N; case (masking) is ignored.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    names, lengths
        Sequences in the file's order, and name -> bases.
    ambiguous
        Always 0: the format has no letters that stand for several bases.
    notes
        What to tell the user.

    Raises
    ------
    InputError
        If it is no sound 2bit file, or holds only N.
    """

    def __init__(self, path: str | Path) -> None:
        import py2bit

        self.path = require_file(path, "genome (2bit file)")
        self.notes: list[str] = []
        self.ambiguous = 0
        if not _is_whole(self.path):
            raise InputError("this 2bit file is damaged or cut off", path=self.path, advice=_ADVICE)
        try:
            self._file = py2bit.open(str(self.path))
            self.lengths: dict[str, int] = dict(self._file.chroms())
            unknown = self._file.info()["hard-masked length"]
        except (RuntimeError, TypeError, AttributeError, KeyError, UnicodeDecodeError, MemoryError) as error:
            raise InputError(f"this 2bit file is damaged ({error})", path=self.path, advice=_ADVICE) from None
        self.names = tuple(self.lengths)
        if unknown >= self.total:
            raise InputError("this genome holds no A, C, G or T, only N", path=self.path)

    def __contains__(self, name: object) -> bool:
        return name in self.lengths

    @property
    def total(self) -> int:
        """Bases in all."""
        return sum(self.lengths.values())

    def codes(self, name: str) -> np.ndarray:
        """Return one sequence as codes, (length,) uint8: 0-3 for A, C, G, T, 4 for N.

        Raises
        ------
        InputError
            If there is no such sequence, or it cannot be read.
        """
        if name not in self.lengths:
            raise InputError(f"there is no sequence named {shorten(name)}", path=self.path)
        length = self.lengths[name]
        codes = np.empty(length, np.uint8)
        try:
            # In pieces: the library gives text, four times as large as it need be if taken whole.
            for start in range(0, length, _PIECE):
                text = self._file.sequence(name, start, min(length, start + _PIECE)).encode("ascii")
                codes[start : start + len(text)] = np.frombuffer(text.translate(_CODES), np.uint8)
                if len(text) != min(length, start + _PIECE) - start:
                    raise RuntimeError("fewer bases than its header says")
        except (RuntimeError, AttributeError, UnicodeEncodeError, MemoryError) as error:
            raise InputError(f"this 2bit file is damaged ({error})", path=self.path, advice=_ADVICE) from None
        codes.flags.writeable = False
        return codes


def _is_whole(path: Path) -> bool:
    """Return whether every sequence lies inside the file: py2bit gives wrong bases without a word where one does not.

    The format's index gives each sequence's offset; there its length comes, the blocks of N and of lower case, and
    four bases a byte.
    """
    size = path.stat().st_size
    with path.open("rb") as handle:
        count = struct.unpack("<4I", handle.read(16).ljust(16, b"\0"))[2]
        offsets = []
        for _ in range(count):
            name = handle.read(handle.read(1)[0] if handle.tell() < size else 0)
            offset = handle.read(4)
            if not name or len(offset) < 4:
                return False
            offsets.append(struct.unpack("<I", offset)[0])
        for offset in offsets:
            handle.seek(offset)
            numbers = [handle.read(4)]
            for _ in range(2):
                numbers.append(handle.read(4))
                handle.seek(8 * int.from_bytes(numbers[-1], "little"), 1)
            packed = (int.from_bytes(numbers[0], "little") + 3) // 4
            if any(len(number) < 4 for number in numbers) or handle.tell() + 4 + packed > size:
                return False
    return count > 0


def open_genome(path: str | Path) -> Genome | TwoBitGenome:
    """Open a genome, FASTA (plain, gzip, bgzip) or 2bit; which of them it is, its first bytes say.

    Raises
    ------
    InputError
        If it is neither, or damaged.
    """
    path = require_file(path, "genome (FASTA or 2bit file)")
    with path.open("rb") as handle:
        return TwoBitGenome(path) if handle.read(4) in _SIGNATURES else Genome(path)

"""Writing BAM: whole records as they come, packed into BGZF blocks by a few threads.

Records are copied from a file that was read and checked; what this module makes itself is the header, the blocks and
the marks of block sizes.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np

from neandl_core import __version__
from neandl_core.errors import OutputError
from neandl_core.io.alignments import Alignments
from neandl_core.io.bgzf import EOF_BLOCK
from neandl_core.io.records import gather_records

_BLOCK = 65_280
"""Bytes of a block before packing, as htslib takes them: packed they fit into 64 KiB even if they do not shrink."""
_LEVEL = 5


def add_program_line(header: str, program: str, version: str, command: str, description: str) -> str:
    """Return a SAM header with one more @PG line, chained to the last one.

    Parameters
    ----------
    header
        The header's text.
    program
        ID and name of the program; a number is added if the ID is taken.
    version, command, description
        Fields VN, CL and DS; tabs and line ends become spaces.
    """
    lines = [line for line in header.splitlines() if line]
    ids = [
        field[3:] for line in lines if line.startswith("@PG\t") for field in line.split("\t") if field.startswith("ID:")
    ]
    name, number = program, 1
    while name in ids:
        number += 1
        name = f"{program}.{number}"
    fields = [f"ID:{name}", f"PN:{program}", f"VN:{version}"]
    fields += [f"PP:{ids[-1]}"] if ids else []
    fields += [f"CL:{' '.join(command.split())}", f"DS:{' '.join(description.split())}"]
    last = max((place for place, line in enumerate(lines) if not line.startswith("@CO")), default=-1)
    return "\n".join([*lines[: last + 1], "\t".join(["@PG", *fields]), *lines[last + 1 :]]) + "\n"


class BamWriter:
    """A BAM file being written; use it as a context.

    Parameters
    ----------
    path
        The file; replaced if it is there.
    header
        SAM header.
    contigs
        (name, length) in the order of the records' reference ids.
    threads
        Threads that pack blocks.

    Raises
    ------
    OutputError
        If the disk refuses.
    """

    def __init__(self, path: Path, header: str, contigs: Sequence[tuple[str, int]], threads: int = 2) -> None:
        self.path = path
        self._rest = bytearray()
        self._pending: deque[Future[bytes]] = deque()
        self._limit = 4 * threads
        try:
            self._handle = path.open("wb")
        except OSError as error:
            raise OutputError(f"{path.name} cannot be written ({error.strerror}).") from None
        self._pool = ThreadPoolExecutor(threads)
        text = header.encode()
        self.write(struct.pack("<4si", b"BAM\1", len(text)) + text + struct.pack("<i", len(contigs)))
        for name, length in contigs:
            raw = name.encode() + b"\0"
            self.write(struct.pack("<i", len(raw)) + raw + struct.pack("<i", length))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                if self._rest:
                    self._pending.append(self._pool.submit(packed, bytes(self._rest)))
                self._drain(0)
                self._put(EOF_BLOCK)
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._handle.close()

    def write(self, data: bytes | np.ndarray) -> None:
        """Append whole records."""
        self._rest += memoryview(data)
        start = 0
        while len(self._rest) - start >= _BLOCK:
            self._pending.append(self._pool.submit(packed, bytes(self._rest[start : start + _BLOCK])))
            start += _BLOCK
            self._drain(self._limit)
        del self._rest[:start]

    def _drain(self, left: int) -> None:
        while len(self._pending) > left:
            self._put(self._pending.popleft().result())

    def _put(self, data: bytes) -> None:
        try:
            self._handle.write(data)
        except OSError as error:
            raise OutputError(f"{self.path.name} cannot be written ({error.strerror}).") from None


def packed(plain: bytes) -> bytes:
    """Return up to 65,280 bytes as one BGZF block (SAM/BAM specification, section 4.1)."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
    data = deflate.compress(plain) + deflate.flush()
    head = struct.pack("<4sIBBH2sHH", b"\x1f\x8b\x08\x04", 0, 0, 255, 6, b"BC", 2, len(data) + 25)
    return head + data + struct.pack("<II", zlib.crc32(plain), len(plain))


class SelectedRecords:
    """A BAM that takes chosen records of `alignments` byte for byte, in their order; `close` ends it.

    The header is the input's with one more @PG line.

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
        command = " ".join(["neandl_core", *sys.argv[1:]])
        header = add_program_line(alignments.header, "NeanDL", __version__, command, "reads kept by their PMD score")
        self._writer = BamWriter(path, header, alignments.contigs)

    def write(self, chunk: np.ndarray, starts: np.ndarray, keep: np.ndarray) -> None:
        """Write those of the records that begin at `starts` of a chunk for which `keep` is true."""
        out = np.empty(chunk.size, np.uint8)
        self._writer.write(out[: gather_records(chunk, starts, keep, out)])
        self.records += int(np.count_nonzero(keep))

    def close(self) -> None:
        """Write what is left and the end marker."""
        self._writer.__exit__(None, None, None)

    def index(self) -> None:
        """Make the index beside the file, which must be sorted by coordinate and closed."""
        sort_and_index(self.path, True, contigs=self._contigs)


def sort_and_index(
    path: Path, in_order: bool, threads: int = 2, contigs: Sequence[tuple[str, int]] = ()
) -> None:
    """Sort a BAM file by coordinate where it is not yet, and write its index beside it.

    The index is CSI if one of the contigs given is too long for BAI.

    Raises
    ------
    OutputError
        If htslib cannot.
    """
    import pysam

    try:
        if not in_order:
            unsorted = path.with_name(f".{path.name}")
            path.rename(unsorted)
            # Without --no-PG the header would carry the path of a temporary file.
            pysam.sort("--no-PG", "-m", "256M", "-@", str(threads), "-o", str(path), str(unsorted))
            unsorted.unlink()
        long = any(length >= 1 << 29 for _, length in contigs)
        pysam.index(*(["-c"] if long else []), str(path))
    except (OSError, pysam.SamtoolsError) as error:
        reason = " ".join(str(error).split())
        raise OutputError(f"{path.name} cannot be sorted and indexed: {reason}.") from None

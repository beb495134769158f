"""BGZF, the block-gzipped format of BAM and of bgzipped FASTA: read in threads, every block checked.

Format: SAM/BAM specification, section 4.1. A file is a row of gzip members of at most 64 KiB each, every one with its
own length, its CRC-32 and the length of its plain text, and ends with an empty block that says "nothing was cut off".
"""

from __future__ import annotations

import contextlib
import mmap
import struct
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

import numpy as np

from neandl_core.errors import InputError
from neandl_core.files import require_file

try:
    from isal import isal_zlib as inflater  # twice as fast as zlib
    from isal.isal_zlib import _GzipReader as BlocksReader
except ImportError:  # pragma: no cover - depends on the installation
    import zlib as inflater

    BlocksReader = None

GZIP_MAGIC = b"\x1f\x8b"
EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
MAX_PLAIN = 65_536
"""Most plain bytes that a block may hold."""
GROUP = 8
"""Blocks that one thread inflates at a time: 512 KiB at most, which the next core still finds in a shared cache."""
HEADROOM = MAX_PLAIN
"""Free bytes before the plain ones in `BgzfFile.buffers`: room for the record that a border cut in two."""
_LET_GO = 1 << 24
"""Compressed bytes after which those read are let go; mapped pages would count as this process's memory."""
_ENOUGH_BLOCKS, _SHORT_BLOCK = 5, 2 / 3
"""Without end marker: blocks that say how full the others are, and the part of the smallest that the last may fill."""
_USUAL = struct.Struct("<4s6xH2sHH")
Inflated = TypeVar("Inflated")


class Block(NamedTuple):
    """One block: byte offset in the file, compressed data from `data` to `data_end`, plain size, CRC-32."""

    offset: int
    data: int
    end: int
    plain: int
    crc: int


class BgzfFile:
    """A BGZF file, mapped into memory. Use it as a context.

    Attributes
    ----------
    path, size
        The file and its size in bytes.
    notes
        What was odd and harmless, in sentences: bytes after the end marker, an end marker cut short or missing.

    Raises
    ------
    InputError
        If the file is not BGZF, or it was cut off: it does not end with the end marker, and the last block is as full
        as the others.
    """

    def __init__(self, path: str | Path, what: str = "BGZF file") -> None:
        self.path = require_file(path, what)
        self.notes: list[str] = []
        with self.path.open("rb") as handle:
            self._map = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        self.size = len(self._map)
        try:
            if self._map[:2] != GZIP_MAGIC:
                raise InputError(f"expected a {what}, but it is not compressed in blocks (BGZF)", path=path)
            if not is_bgzf(self._map[:64]):
                raise InputError(
                    f"expected a {what} compressed in blocks (BGZF), got plain gzip", path=path,
                    advice="Unpack it with gunzip and compress it with bgzip, or write it anew with samtools.",
                )
            self._stop = self._find_end(what)
        except InputError:
            self._map.close()
            raise

    def _find_end(self, what: str) -> int:
        """Return where the blocks end, after making sure that the end marker is there."""
        tail = self._map[max(0, self.size - MAX_PLAIN) :]
        found = tail.rfind(EOF_BLOCK)
        if found >= 0:
            end = self.size - len(tail) + found + len(EOF_BLOCK)
            if end == self.size:
                return end
            if not _starts_block(tail[found + len(EOF_BLOCK) :]):
                self.notes.append(f"{self.size - end:,} bytes after the end marker of the file were not read.")
                return end
        for kept in range(len(EOF_BLOCK) - 1, 17, -1):
            # 18 bytes hold the block's length, which no block with data in it shares with the end marker.
            if tail.endswith(EOF_BLOCK[:kept]):
                self.notes.append("The end marker of the file is cut short; the data before it are complete.")
                return self.size - kept
        if self._ends_with_short_block():
            self.notes.append(
                "The end marker of the file is missing. Its last block is whole and shorter than the others, as the "
                "last that a program writes, so nothing seems to be lost; compare the size with that of the original."
            )
            return self.size
        raise InputError(
            f"this {what} is truncated: it ends at byte {self.size:,} without the end marker", path=self.path,
            advice="Copy or download it again and compare the sizes.",
        )

    def _ends_with_short_block(self) -> bool:
        """Tell whether the blocks fill the file, and the last alone was not full.

        Programs fill every block but the last, and the first, which may hold the header alone. A file cut at the
        border of two blocks ends with a full one.
        """
        self._stop = self.size
        try:
            sizes = [block.plain for block in self.blocks()]
        except InputError:
            return False
        return len(sizes) >= _ENOUGH_BLOCKS and 0 < sizes[-1] < _SHORT_BLOCK * min(sizes[1:-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. While a thread still looks at it, the last one to look closes it."""
        with contextlib.suppress(BufferError):
            self._map.close()

    def blocks(self, start: int = 0) -> Iterator[Block]:
        """Yield the blocks from byte `start` of the file on; empty blocks too.

        Raises
        ------
        InputError
            At the first byte that does not begin a whole block.
        """
        offset, data = start, self._map
        while offset < self._stop:
            head = data[offset : offset + 18]
            if len(head) == 18:
                magic, extra, tag, tag_size, block_size = _USUAL.unpack(head)
                begin = offset + 12 + extra
            else:
                magic, tag = head, b""
            if magic != b"\x1f\x8b\x08\x04":
                raise self._corrupt(offset, "no block begins here")
            if tag != b"BC" or tag_size != 2:
                block_size = _block_size(data[offset : offset + 12 + extra]) if len(head) == 18 else None
            if block_size is None or begin + 8 > offset + block_size + 1:
                raise self._corrupt(offset, "the block's header is damaged")
            end = offset + block_size + 1
            if end > self._stop:
                raise InputError(
                    f"the file is truncated: the block at byte {offset:,} is cut off", path=self.path,
                    advice="Copy or download it again and compare the sizes.",
                )
            crc, plain = struct.unpack("<II", data[end - 8 : end])
            if plain > MAX_PLAIN:
                raise self._corrupt(offset, f"the block claims {plain:,} bytes, more than the format allows")
            yield Block(offset, begin, end - 8, plain, crc)
            offset = end

    def inflate(self, blocks: list[Block]) -> bytes:
        """Return the plain bytes of consecutive blocks, each checked against its length and CRC-32."""
        return b"".join(self._inflated(blocks))

    def _inflated(self, blocks: list[Block]) -> Iterator[bytes]:
        with memoryview(self._map) as view:
            for block in blocks:
                try:
                    plain = inflater.decompress(view[block.data : block.end], -15, block.plain or 1)
                except inflater.error:
                    raise self._corrupt(block.offset, "the block cannot be unpacked") from None
                if len(plain) != block.plain or inflater.crc32(plain) != block.crc:
                    raise self._corrupt(block.offset, "the block's checksum (CRC-32) is wrong")
                yield plain

    def fill(self, blocks: list[Block], buffer: np.ndarray) -> int:
        """Inflate consecutive blocks into `buffer` from `HEADROOM` on and return where they end."""
        at, end = HEADROOM, HEADROOM + sum(block.plain for block in blocks)
        with memoryview(buffer) as view:
            if blocks and self._filled_at_once(blocks, view[at:end]):
                return end
            for plain in self._inflated(blocks):
                view[at : at + len(plain)] = plain
                at += len(plain)
        return at

    def _filled_at_once(self, blocks: list[Block], room: memoryview) -> bool:
        """Inflate blocks with one call, during which other threads run, and check them; tell whether all is well.

        Where it is not, going through them one by one finds out what is wrong.
        """
        if BlocksReader is None:  # pragma: no cover - depends on the installation
            return False
        reader, filled = BlocksReader(self._map[blocks[0].offset : blocks[-1].end + 8], MAX_PLAIN), 0
        try:
            while got := reader.readinto(room[filled:] if filled < len(room) else bytearray(1)):
                filled += got
        except (inflater.error, OSError, EOFError):
            return False
        return filled == len(room)

    def groups(self, threads: int = 2, start: int = 0) -> Iterator[tuple[bytes, int]]:
        """Yield plain bytes, up to 512 KiB at a time, with how far into the file they reach; inflated ahead in threads.

        Parameters
        ----------
        threads
            Threads that inflate.
        start
            Byte of the file at which a block begins.

        Raises
        ------
        InputError
            Where a block is damaged; everything before it was yielded.
        """
        yield from self._ahead(self.inflate, threads, start)

    def buffers(self, threads: int = 2) -> Iterator[tuple[np.ndarray, int, int]]:
        """Yield the same bytes as `groups` in memory that is used again, which spares the system a quarter of the work.

        Yields
        ------
        buffer : uint8 array
            Valid, and the caller's to write in, until the next but one is asked for. The plain bytes begin at
            `HEADROOM`; the room before them is free, for what was left of the last buffer.
        end
            Where the plain bytes end.
        reached
            How far into the file they reach.
        """
        free = [np.empty(HEADROOM + GROUP * MAX_PLAIN, np.uint8) for _ in range(_in_flight(threads) + 2)]
        last: np.ndarray | None = None

        def work(blocks: list[Block]) -> tuple[np.ndarray, int]:
            buffer = free.pop()
            return buffer, self.fill(blocks, buffer)

        for (buffer, end), reached in self._ahead(work, threads, 0):
            yield buffer, end, reached
            if last is not None:
                free.append(last)
            last = buffer

    def _ahead(
        self, work: Callable[[list[Block]], Inflated], threads: int, start: int
    ) -> Iterator[tuple[Inflated, int]]:
        """Do `work` on groups of blocks in threads, ahead of the reader, and yield the results in order."""
        blocks = self.blocks(start)
        pending: deque[tuple[Future[Inflated], int]] = deque()
        fault: InputError | None = None
        kept = start // mmap.PAGESIZE * mmap.PAGESIZE
        with ThreadPoolExecutor(max(1, threads)) as pool:
            try:
                while True:
                    while fault is None and len(pending) < _in_flight(threads):
                        group, fault, ended = take_group(blocks)
                        if group:
                            pending.append((pool.submit(work, group), group[-1].end + 8))
                        if ended:
                            break
                    if not pending:
                        break
                    future, reached = pending.popleft()
                    yield future.result(), reached
                    kept = self.let_go(kept, reached)
            finally:
                for future, _ in pending:
                    future.cancel()
        if fault is not None:
            raise fault

    def let_go(self, kept: int, reached: int) -> int:
        """Let go of the mapped bytes from `kept` to `reached` if they are many, and return from where they are kept."""
        if reached - kept <= _LET_GO:
            return kept
        length = (reached - kept) // mmap.PAGESIZE * mmap.PAGESIZE
        self._map.madvise(mmap.MADV_DONTNEED, kept, length)
        return kept + length

    def _corrupt(self, offset: int, what: str) -> InputError:
        return InputError(
            f"the file is corrupt at byte {offset:,}: {what}", path=self.path,
            advice="Copy or download it again and compare the sizes.",
        )


def is_bgzf(head: bytes) -> bool:
    """Tell whether a file that begins with `head` (64 bytes are enough in practice) is BGZF."""
    return head[:4] == b"\x1f\x8b\x08\x04" and len(head) >= 18 and _block_size(head) is not None


def _starts_block(data: bytes) -> bool:
    return data[:4] == b"\x1f\x8b\x08\x04"


def _block_size(header: bytes) -> int | None:
    """Return the block's size less one from its gzip header, None if it has no such field."""
    extra_end = min(len(header), 12 + int.from_bytes(header[10:12], "little"))
    at = 12
    while at + 4 <= extra_end:
        size = int.from_bytes(header[at + 2 : at + 4], "little")
        if header[at : at + 2] == b"BC" and size == 2 and at + 6 <= extra_end:
            return int.from_bytes(header[at + 4 : at + 6], "little")
        at += 4 + size
    return None


def _in_flight(threads: int) -> int:
    """Return how many groups are inflated ahead of the reader at most."""
    return max(1, threads) + 2


def take_group(blocks: Iterator[Block]) -> tuple[list[Block], InputError | None, bool]:
    """Take up to `GROUP` blocks; a fault met on the way is returned, to be raised after what came before it."""
    group: list[Block] = []
    try:
        for block in blocks:
            group.append(block)
            if len(group) == GROUP:
                return group, None, False
    except InputError as error:
        return group, error, True
    return group, None, True

"""BGZF: every block is checked, and a file that was cut is refused wherever it was cut."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pysam import tabix_compress

from neandl_core.errors import InputError
from neandl_core.io.bgzf import EOF_BLOCK, BgzfFile


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Path, bytes]:
    """A file of a dozen blocks and its plain bytes."""
    plain = np.random.default_rng(1).integers(65, 91, 700_000).astype(np.uint8).tobytes()
    (tmp_path / "plain").write_bytes(plain)
    tabix_compress(str(tmp_path / "plain"), str(tmp_path / "packed.gz"), force=True)
    return tmp_path / "packed.gz", plain


def everything(path: Path, threads: int = 2) -> bytes:
    with BgzfFile(path) as file:
        return b"".join(text for text, _ in file.groups(threads))


def block(plain: bytes, crc: int | None = None, claimed: int | None = None) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflate.compress(plain) + deflate.flush()
    head = struct.pack("<4sIBBH2sHH", b"\x1f\x8b\x08\x04", 0, 0, 255, 6, b"BC", 2, len(data) + 25)
    crc = zlib.crc32(plain) if crc is None else crc
    return head + data + struct.pack("<II", crc, len(plain) if claimed is None else claimed)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_plain_bytes_come_back(packed: tuple[Path, bytes], threads: int) -> None:
    assert everything(packed[0], threads) == packed[1]


def test_empty_blocks_in_the_middle_are_legal(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(block(b"one") + EOF_BLOCK + block(b"two") + EOF_BLOCK)
    assert everything(path) == b"onetwo"


def test_a_cut_is_refused_at_block_borders_and_within(packed: tuple[Path, bytes]) -> None:
    path, _ = packed
    whole = path.read_bytes()
    with BgzfFile(path) as file:
        offsets = [block.offset for block in file.blocks()]
    for cut in [*offsets[1:], *(offset + 40 for offset in offsets[:-1])]:
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="truncated"):
            everything(path)


def test_a_changed_byte_is_found_and_placed(packed: tuple[Path, bytes]) -> None:
    path, _ = packed
    whole = path.read_bytes()
    with BgzfFile(path) as file:
        third = list(file.blocks())[2]
    for place in (third.offset, third.data + 200, third.end, third.end + 5):
        data = bytearray(whole)
        data[place] ^= 0x55
        path.write_bytes(bytes(data))
        with pytest.raises(InputError, match=rf"byte {third.offset:,}"):
            everything(path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (block(b"text", crc=1) + EOF_BLOCK, "checksum"),
        (block(b"text", claimed=5) + EOF_BLOCK, "checksum"),
        (block(b"text", claimed=2_000_000_000) + EOF_BLOCK, "claims 2,000,000,000 bytes"),
        (gzip.compress(b"text", mtime=0), "plain gzip"),
        (b"text", "not compressed in blocks"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=says):
        everything(path)


def test_odd_ends_without_loss_are_read_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    for end, says in ((EOF_BLOCK + b"garbage", "7 bytes after"), (EOF_BLOCK[:-4], "cut short")):
        path.write_bytes(block(b"text") + end)
        assert everything(path) == b"text"
        with BgzfFile(path) as file:
            assert says in file.notes[0]

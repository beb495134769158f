"""What the index beside a BAM file says of it: how many records it should hold (SAM/BAM specification, section 5).

Nothing is looked up through an index here, so a wrong one cannot lose reads. But its count was taken when it was made:
a file that holds another number of records is not the file that was indexed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neandl_core.errors import InputError
from neandl_core.io.bgzf import GZIP_MAGIC, BgzfFile
from neandl_core.io.records import int32_at
from neandl_core.numba_start import numba

_BAI_COUNTS = 37_450
"""The bin in which BAI keeps its counts; no bin of that number exists."""
_LARGEST = 1 << 30
_ADVICE = "Delete it, or make it anew (samtools index), after making sure that the BAM file is complete."


@numba.njit(nogil=True, cache=True)
def _int64_at(data: np.ndarray, at: int) -> int:
    return (int32_at(data, at) & 0xFFFFFFFF) | int32_at(data, at + 4) << 32


@numba.njit(nogil=True, cache=True)
def _sum_counts(data: np.ndarray, at: int, csi: bool, counts_bin: int) -> tuple[bool, int, bool]:
    """Return (whether the index holds together, records it counted, whether it kept counts at all)."""
    if at + 4 > data.size:
        return False, 0, False
    references = int32_at(data, at)
    at += 4
    records, kept, binned = 0, 0, 0
    head = 16 if csi else 8
    for _ in range(references):
        if at + 4 > data.size:
            return False, 0, False
        bins = int32_at(data, at)
        at += 4
        binned += bins > 0
        for _ in range(bins):
            if at + head > data.size:
                return False, 0, False
            number, chunks = int32_at(data, at), int32_at(data, at + head - 4)
            at += head
            if chunks < 0 or at + 16 * chunks > data.size:
                return False, 0, False
            if number == counts_bin and chunks == 2:
                records += _int64_at(data, at + 16) + _int64_at(data, at + 24)
                kept += 1
            at += 16 * chunks
        if not csi:
            if at + 4 > data.size:
                return False, 0, False
            intervals = int32_at(data, at)
            at += 4 + 8 * intervals
            if intervals < 0 or at > data.size:
                return False, 0, False
    if at + 8 == data.size:
        return True, records + _int64_at(data, at), kept == binned
    return at == data.size, records, False


def indexed_records(bam: Path) -> tuple[Path, int] | None:
    """Return the index beside a BAM file and the records it counted; None if there is none, or it kept no counts.

    Raises
    ------
    InputError
        If there is one that is damaged or something else.
    """
    stem = bam.with_suffix("") if bam.suffix.lower() == ".bam" else bam
    candidates = (Path(f"{bam}.bai"), Path(f"{bam}.csi"), Path(f"{stem}.bai"), Path(f"{stem}.csi"))
    index = next((path for path in candidates if path.is_file()), None)
    if index is None:
        return None
    try:
        return _counted(index)
    except (InputError, OSError):
        raise InputError(
            f"the index beside it ({index.name}) is damaged or is no index", path=bam, advice=_ADVICE
        ) from None


def _counted(index: Path) -> tuple[Path, int] | None:
    if index.stat().st_size > _LARGEST:
        return None
    data = index.read_bytes()
    if data[:2] == GZIP_MAGIC:
        with BgzfFile(index, "index") as file:
            data = b"".join(text for text, _ in file.groups(1))
    numbers = np.frombuffer(data, np.uint8)
    if data[:4] == b"BAI\1":
        sound, records, kept = _sum_counts(numbers, 4, False, _BAI_COUNTS)
    elif data[:4] == b"CSI\1" and len(data) >= 16:
        depth, extra = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (8, 12))
        if not (0 <= depth <= 10 and 0 <= extra <= len(data)):
            raise InputError("this index is damaged", path=index)
        sound, records, kept = _sum_counts(numbers, 16 + extra, True, ((1 << 3 * (depth + 1)) - 1) // 7 + 1)
    else:
        raise InputError("this is no index", path=index)
    if not sound:
        raise InputError("this index is damaged", path=index)
    return (index, records) if kept else None


def compare_with_index(bam: Path, records: int, indexed: tuple[Path, int] | None) -> None:
    """Refuse a file in which another number of records was met than its index counted.

    Raises
    ------
    InputError
        Saying both numbers.
    """
    if indexed is not None and indexed[1] != records:
        index, counted = indexed
        raise InputError(
            f"it holds {records:,} records, but the index beside it ({index.name}) counted {counted:,}: "
            f"{'reads are missing, or the' if counted > records else 'the'} index belongs to another file",
            path=bam, advice=_ADVICE,
        )

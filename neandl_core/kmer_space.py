"""K-mers as points: what they are made of, which lie near each other, and files for TensorBoard's projector.

Numpy and pandas only, so that pages can ask for neighbours without loading what the map was made with.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neandl_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_SHIFTS_OF = {k: 2 * np.arange(k - 1, -1, -1) for k in range(1, 13)}


def kmer_bases(kmers: np.ndarray, k: int) -> np.ndarray:
    """Return the bases of k-mers given as numbers: (n, k) uint8 codes."""
    return ((np.asarray(kmers, np.int32)[:, None] >> _SHIFTS_OF[k].astype(np.int32)) & 3).astype(np.uint8)


def kmer_number(text: str) -> int:
    """Return the number of a k-mer written in A, C, G and T; case does not matter.

    Raises
    ------
    InputError
        If it holds something else, or is longer than 12 bases.
    """
    letters = text.strip().upper()
    if not 1 <= len(letters) <= 12 or set(letters) - set("ACGT"):
        raise InputError(f"{text.strip()[:30]!r} is no k-mer: expected 1 to 12 letters A, C, G and T")
    number = 0
    for letter in letters:
        number = 4 * number + "ACGT".index(letter)
    return number


def kmer_texts(kmers: np.ndarray, k: int) -> np.ndarray:
    """Return the bases of k-mers given as numbers as text: (n,) of str."""
    letters = np.frombuffer(b"ACGT", np.uint8)[kmer_bases(kmers, k)]
    return np.ascontiguousarray(letters).view(f"S{k}")[:, 0].astype(str)


def reverse_complements(kmers: np.ndarray, k: int) -> np.ndarray:
    """Return the numbers of the k-mers on the other strand."""
    bases = 3 - kmer_bases(kmers, k)[:, ::-1].astype(np.int64)
    return (bases << _SHIFTS_OF[k]).sum(axis=1)


def kmer_properties(kmers: np.ndarray, k: int) -> pd.DataFrame:
    """Return what k-mers are made of: columns `kmer`, `gc` (share), `cpg` (sites) and `palindrome` (0 or 1)."""
    bases = kmer_bases(kmers, k)
    return pd.DataFrame({
        "kmer": kmer_texts(kmers, k),
        "gc": ((bases == 1) | (bases == 2)).mean(axis=1, dtype=np.float32),
        "cpg": ((bases[:, :-1] == 1) & (bases[:, 1:] == 2)).sum(axis=1, dtype=np.int8),
        "palindrome": (reverse_complements(kmers, k) == kmers).astype(np.int8),
    })


def composition_vectors(kmers: np.ndarray, k: int) -> np.ndarray:
    """Return vectors that know nothing of a model: shares of the 4 bases and of the 16 pairs of neighbours.

    Returns
    -------
    array
        (n, 20) float32; (n, 4) for k = 1.
    """
    bases = kmer_bases(kmers, k)
    single = np.stack([(bases == base).mean(axis=1, dtype=np.float32) for base in range(4)], axis=1)
    if k == 1:
        return single
    pairs = 4 * bases[:, :-1] + bases[:, 1:]
    return np.hstack([single, *[(pairs == pair).mean(axis=1, dtype=np.float32)[:, None] for pair in range(16)]])


def nearest(vectors: np.ndarray, row: int, count: int = 10, among: ArrayLike | None = None) -> pd.DataFrame:
    """Return the k-mers whose vectors point most nearly the same way.

    Parameters
    ----------
    vectors
        (n, dimensions) float32; may be memory-mapped.
    row
        The k-mer asked about; it is not among its own neighbours.
    count
        Neighbours wanted.
    among
        (n,) which rows may be named, for example those seen in training; all if None.

    Returns
    -------
    DataFrame
        `row` and `cosine` (-1 to 1), nearest first. A vector of zeros has no direction and is nobody's neighbour.
    """
    asked = np.asarray(vectors[row], np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) * np.sqrt(asked @ asked)
    cosine = np.divide(vectors @ asked, lengths, out=np.full(len(vectors), -np.inf, np.float32), where=lengths > 0)
    if among is not None:
        cosine[~np.asarray(among, bool)] = -np.inf
    cosine[row] = -np.inf
    count = min(count, len(cosine))
    best = np.argpartition(-cosine, count - 1)[:count]
    best = best[np.argsort(-cosine[best], kind="stable")]
    best = best[np.isfinite(cosine[best])]
    return pd.DataFrame({"row": best, "cosine": cosine[best]})


def write_projector(folder: Path, vectors: np.ndarray, metadata: pd.DataFrame) -> None:
    """Write `vectors.tsv` and `metadata.tsv` as TensorBoard's projector loads them, row by row the same k-mers.

    Parameters
    ----------
    folder
        An existing folder.
    vectors
        (n, dimensions).
    metadata
        (n,) rows of at least two columns: with two or more, the projector takes the first line for their names. The
        vectors' file has no such line.
    """
    pd.DataFrame(vectors).to_csv(folder / "vectors.tsv", sep="\t", index=False, header=False, float_format="%.6g")
    metadata.to_csv(folder / "metadata.tsv", sep="\t", index=False)

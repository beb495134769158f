"""What a set of k-mers chosen on a map has in common: composition, logo, shorter words met more often than elsewhere.

Numpy and pandas only until a test is asked for, so that pages answer at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from neandl_core.enrichment import false_discovery
from neandl_core.errors import InputError

IUPAC = {
    "A": "A", "C": "C", "G": "G", "T": "T", "U": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}
"""Letters of a pattern and the bases that they stand for."""
PART_LENGTHS = (2, 3, 4)
MOST_VERTICES = 500
FALSE_DISCOVERY = 0.05
_COMPLEMENT = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")
_AT_ONCE = 1 << 15


def bases_of(texts: pd.Series | np.ndarray) -> np.ndarray:
    """Return the bases of k-mers of one length, given as text: (n, k) uint8 codes.

    Raises
    ------
    InputError
        If their lengths differ or one holds another letter than A, C, G and T.
    """
    letters = np.asarray(texts).astype("S")
    k = letters.dtype.itemsize
    rows = np.ascontiguousarray(letters).view(np.uint8).reshape(len(letters), k)
    table = np.full(256, 4, np.uint8)
    for code, letter in enumerate(b"ACGT"):
        table[letter] = code
    bases = table[rows]
    if len(bases) and bases.max() > 3:
        raise InputError("expected k-mers of one length in A, C, G and T")
    return bases


def reverse_complement(pattern: str) -> str:
    """Return a pattern of IUPAC letters as the other strand reads it."""
    return pattern.upper().replace("U", "T").translate(_COMPLEMENT)[::-1]


def matching(bases: np.ndarray, pattern: str, *, both_strands: bool = True) -> np.ndarray:
    """Return which k-mers hold a pattern anywhere.

    Parameters
    ----------
    bases
        (n, k) codes.
    pattern
        IUPAC letters, for example ``CGCG`` or ``TATAWR``; case does not matter.
    both_strands
        Whether a k-mer counts too whose reverse complement holds it.

    Returns
    -------
    array
        (n,) bool.

    Raises
    ------
    InputError
        If it is empty, longer than the k-mers, or holds another letter.
    """
    wanted = pattern.strip().upper()
    k = bases.shape[1]
    odd = sorted(set(wanted) - set(IUPAC))
    if not wanted or odd:
        raise InputError(
            f"{pattern.strip()[:30]!r} is no pattern of bases", advice="Use A, C, G, T and IUPAC letters like R."
        )
    if len(wanted) > k:
        raise InputError(f"this map holds k-mers of {k} bases, and {wanted[:30]} has {len(wanted)}")
    found = np.zeros(len(bases), bool)
    patterns = {wanted.replace("U", "T")} | ({reverse_complement(wanted)} if both_strands else set())
    # One bit for each base, so that a letter of the pattern is one comparison.
    bits = np.left_shift(1, bases, dtype=np.uint8)
    for text in patterns:
        allowed = [sum(1 << "ACGT".index(base) for base in IUPAC[letter]) for letter in text]
        for start in range(k - len(text) + 1):
            here = np.ones(len(bases), bool)
            for place, mask in enumerate(allowed):
                if mask != 15:
                    here &= (bits[:, start + place] & mask) != 0
            found |= here
    return found


def check_polygon(polygon: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the corners of a lasso as (n, 2) float64.

    Raises
    ------
    InputError
        If there are fewer than 3 or more than `MOST_VERTICES`, or one is no pair of finite numbers.
    """
    try:
        corners = np.asarray(polygon, np.float64)
    except (TypeError, ValueError):
        raise InputError("this selection is no list of points") from None
    if corners.ndim != 2 or corners.shape[1] != 2 or not 3 <= len(corners) <= MOST_VERTICES:
        raise InputError(f"a selection has 3 to {MOST_VERTICES} corners of two numbers each")
    if not np.isfinite(corners).all():
        raise InputError("a corner of this selection is not finite")
    return corners


def inside(x: np.ndarray, y: np.ndarray, polygon: Sequence[Sequence[float]]) -> np.ndarray:
    """Return which points lie inside a polygon, by the even-odd rule: (n,) bool.

    Parameters
    ----------
    x, y
        (n,) coordinates.
    polygon
        Corners in order; the last is joined to the first.
    """
    corners = check_polygon(polygon)
    found = np.zeros(len(x), bool)
    (left, low), (right, high) = corners.min(axis=0), corners.max(axis=0)
    near = np.flatnonzero((x >= left) & (x <= right) & (y >= low) & (y <= high))
    following = np.roll(corners, -1, axis=0)
    for start in range(0, len(near), _AT_ONCE):
        rows = near[start : start + _AT_ONCE]
        right_of, up = np.asarray(x[rows], np.float64), np.asarray(y[rows], np.float64)
        odd = np.zeros(len(rows), bool)
        for (x0, y0), (x1, y1) in zip(corners, following, strict=True):
            if y0 != y1:
                odd ^= ((y0 > up) != (y1 > up)) & (right_of < (x1 - x0) * (up - y0) / (y1 - y0) + x0)
        found[rows] = odd
    return found


@dataclass(frozen=True)
class Chosen:
    """What the chosen k-mers have in common.

    Attributes
    ----------
    count, among
        K-mers chosen, and k-mers that could have been.
    gc, rest_gc
        Mean share of G and C, 0 to 1; nan without a k-mer.
    letters, background
        (k, 4) counts of bases by position among the chosen, and among all that could have been.
    """

    count: int
    among: int
    gc: float
    rest_gc: float
    letters: np.ndarray
    background: np.ndarray


def describe(bases: np.ndarray, mask: np.ndarray, among: np.ndarray) -> Chosen:
    """Count what chosen k-mers are made of, beside the rest.

    Parameters
    ----------
    bases
        (n, k) codes.
    mask, among
        (n,) which are chosen, and which could have been; the chosen are taken from among these.
    """
    own, rest = bases[mask & among], bases[~mask & among]
    letters = np.stack([(own == base).sum(axis=0) for base in range(4)], axis=1)
    others = np.stack([(rest == base).sum(axis=0) for base in range(4)], axis=1)
    gc, rest_gc = (
        float(part[:, 1:3].sum() / part.sum()) if part.sum() else float("nan") for part in (letters, others)
    )
    return Chosen(len(own), len(own) + len(rest), gc, rest_gc, letters, letters + others)


def holding(bases: np.ndarray, length: int) -> np.ndarray:
    """Return in how many k-mers each word of a length occurs at least once: (4**length,) int64."""
    k = bases.shape[1]
    counts = np.zeros(4**length, np.int64)
    for start in range(0, len(bases), 8 * _AT_ONCE):
        block = bases[start : start + 8 * _AT_ONCE].astype(np.int16)
        words = sum(block[:, place : k - length + 1 + place] * 4 ** (length - 1 - place) for place in range(length))
        words = np.sort(words, axis=1)
        first = np.ones(words.shape, bool)
        first[:, 1:] = words[:, 1:] != words[:, :-1]
        counts += np.bincount(words[first], minlength=4**length)
    return counts


def totals_of(bases: np.ndarray, among: np.ndarray, lengths: Sequence[int] = PART_LENGTHS) -> dict[int, np.ndarray]:
    """Return `holding` for each length over the k-mers that could be chosen; the same for every selection of a map."""
    among_bases = bases[among]
    return {length: holding(among_bases, length) for length in lengths if length < bases.shape[1]}


def enriched_parts(
    bases: np.ndarray, mask: np.ndarray, among: np.ndarray, totals: dict[int, np.ndarray] | None = None
) -> pd.DataFrame:
    """Test which shorter words more of the chosen k-mers hold than of the rest.

    Fisher's exact test, one-sided, on k-mers that hold the word at least once, corrected over all words of all lengths
    by Benjamini and Hochberg (1995).

    Parameters
    ----------
    bases, mask, among
        As for `describe`.
    totals
        From `totals_of`, if it is known already.

    Returns
    -------
    DataFrame
        `part`, `count` and `share` (of the chosen that hold it), `rest_share`, `fold`, `p`, `q`, `enriched` (q below
        0.05 and fold above 1); the smallest p first.
    """
    from scipy.stats import hypergeom

    own = bases[mask & among]
    rest = int(among.sum()) - len(own)
    tables = []
    for length, whole in (totals_of(bases, among) if totals is None else totals).items():
        here = holding(own, length)
        elsewhere = whole - here
        words = np.flatnonzero(here)
        codes = (words[:, None] >> (2 * np.arange(length - 1, -1, -1))) & 3
        p = hypergeom.sf(here[words] - 1, len(own) + rest, whole[words], len(own))
        tables.append(pd.DataFrame({
            "part": ["".join(letters) for letters in np.array(list("ACGT"))[codes]], "count": here[words],
            "share": here[words] / max(1, len(own)), "rest_share": elsewhere[words] / max(1, rest),
            # Half a k-mer more in each cell keeps the ratio finite where the rest has none.
            "fold": (here[words] + 0.5) / (len(own) + 1) / ((elsewhere[words] + 0.5) / (rest + 1)),
            "p": np.clip(p, 0, 1),
        }))
    if not tables:
        return pd.DataFrame(columns=["part", "count", "share", "rest_share", "fold", "p", "q", "enriched"])
    table = pd.concat(tables, ignore_index=True)
    table["q"] = false_discovery(table["p"].to_numpy())
    table["enriched"] = (table["q"] < FALSE_DISCOVERY) & (table["fold"] > 1)
    order = np.lexsort((-table["fold"].to_numpy(), table["p"].to_numpy()))
    return table.iloc[order].reset_index(drop=True)


def information(letters: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return how far each base at each position is from its share elsewhere, in bits: (k, 4), the heights of a logo.

    Relative entropy (Schneider et al. 1986, with the map's own shares in place of a quarter each), times the base's
    share. Never negative at a position.

    Parameters
    ----------
    letters, background
        (k, 4) counts by position, of the chosen k-mers and of all.
    """
    share = letters / np.maximum(letters.sum(axis=1, keepdims=True), 1)
    expected = (background + 0.25) / (background + 0.25).sum(axis=1, keepdims=True)
    ratio = np.divide(share, expected, out=np.ones_like(share), where=share > 0)
    bits = (share * np.log2(ratio)).sum(axis=1, keepdims=True)
    return share * np.maximum(bits, 0)


def read_subset(texts: Sequence[str], k: int) -> np.ndarray:
    """Return k-mers given as text as numbers, rising and each once.

    Raises
    ------
    InputError
        If one is no k-mer of this length.
    """
    clean = [text.strip().upper() for text in texts if text.strip()]
    odd = [text for text in clean if len(text) != k or set(text) - set("ACGT")]
    if odd:
        raise InputError(f"{odd[0][:30]!r} is no k-mer of {k} letters A, C, G and T ({len(odd):,} lines like it)")
    if not clean:
        raise InputError("it holds no k-mer")
    bases = bases_of(np.array(clean))
    return np.unique((bases.astype(np.int64) << (2 * np.arange(k - 1, -1, -1))).sum(axis=1))

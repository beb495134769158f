"""Post-mortem damage scores of single reads, as PMDtools 0.60 computes them (Skoglund et al. 2014, PNAS 111:2229).

A score is the log of how much likelier the read's C>T and G>A are under damage that falls off from the ends than under
sequencing errors and true variants alone. It is for double-stranded libraries. A read above 3 is taken for ancient by
convention.
"""

from __future__ import annotations

import numpy as np

from neandl_core.encoding import filled_lengths

RISE, BACKGROUND = 0.3, 0.01
"""Damage at i bases from an end: RISE * (1 - RISE)**i + BACKGROUND."""
POLYMORPHISM = MODERN_DAMAGE = 0.001
_QUALITIES = 94


def score_tables(positions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a base adds to the score if it equals the reference, and if it is damaged.

    Parameters
    ----------
    positions
        Distances from the end, in bases, 0 to positions - 1.

    Returns
    -------
    equal, damaged : (positions, 94) float64 arrays
        By distance and Phred quality.
    """
    error = 10.0 ** (-np.arange(_QUALITIES) / 10) / 3
    distance = np.arange(positions)[:, None]

    def unchanged(damage: np.ndarray) -> np.ndarray:
        """Return P(the base is read as the reference has it)."""
        return (
            (1 - damage) * (1 - error) * (1 - POLYMORPHISM) + damage * error * (1 - POLYMORPHISM)
            + error * POLYMORPHISM * (1 - damage)
        )

    ancient = unchanged((1 - RISE) ** distance * RISE + BACKGROUND)
    modern = unchanged(np.full((positions, 1), MODERN_DAMAGE))
    return np.log(ancient / modern), np.log((1 - ancient) / (1 - modern))


def pmd_scores(codes: np.ndarray, reference: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Return the PMD score of each read.

    Parameters
    ----------
    codes, reference, quality : (n, width) uint8 arrays
        Bases and reference bases (0-3 for A, C, G, T) and Phred qualities, from the 5' end, in the read's orientation.
        Distances count bases of the read. Qualities above 93, also those that are missing, count as 93.

    Returns
    -------
    (n,) float64 array
        Natural logarithms of likelihood ratios; 0 for a read without C and G in the reference.
    """
    width = codes.shape[1]
    equal, damaged = score_tables(width)
    from_left = np.broadcast_to(np.arange(width), codes.shape)
    from_right = np.maximum(filled_lengths(codes)[:, None] - 1 - from_left, 0)
    quality = np.minimum(quality, _QUALITIES - 1)
    scores = np.zeros(len(codes))
    for base, changed, distance in ((1, 3, from_left), (2, 0, from_right)):
        for seen, table in ((base, equal), (changed, damaged)):
            rows, places = np.nonzero((reference == base) & (codes == seen))
            values = table[distance[rows, places], quality[rows, places]]
            scores += np.bincount(rows, values, len(codes))
    return scores

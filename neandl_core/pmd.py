"""The model behind PMD scores: how likely post-mortem damage makes a read's bases, against a modern molecule.

Skoglund et al. 2014, PNAS 111:2229, as PMDtools 0.60 computes it. A C at distance i from the 5' end (a G at distance i
from the 3' end) is damaged with probability ``p (1 - p)^i + constant`` in an ancient and 0.001 in a modern molecule;
sequencing errors come from the base's quality, variants have a rate of their own. The score is the natural logarithm
of the likelihood ratio, summed over the read's C and G.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neandl_core.config import ReadSettings
from neandl_core.encoding import filled_lengths
from neandl_core.read_kernel import (
    CPG_ONLY,
    DOUBLE_STRANDED,
    MODEL_LENGTH,
    SINGLE_STRANDED,
    UDG_HALF,
    UDG_NONE,
)

QUALITIES = 94
_MODERN = 0.001


@dataclass(frozen=True)
class PmdModel:
    """Parameters of the score; the defaults are PMDtools'.

    Attributes
    ----------
    library
        ``double-stranded``, or ``single-stranded``: C>T only. PMDtools' --ss adds a term that looks at both ends to
        the one that looks at the 5' end, so its scores are larger; they are reproduced as they are.
    udg
        ``none``; ``half``: C followed by G, G preceded by C, and the terminal bases (--UDGhalf); ``CpG``: without the
        terminal bases (--CpG).
    p, constant
        The geometric distribution of damage.
    variants
        Rate of true differences from the reference.
    """

    library: str = "double-stranded"
    udg: str = "none"
    p: float = 0.3
    constant: float = 0.01
    variants: float = 0.001

    @classmethod
    def of(cls, settings: ReadSettings) -> PmdModel:
        """Return the model that the settings of `reads` ask for."""
        return cls(settings.pmd_library, settings.pmd_udg)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
        """Return what `read_kernel.pmd_score` takes: ratios, damage, rates, library, udg."""
        damage = (1 - self.p) ** np.arange(MODEL_LENGTH) * self.p + self.constant
        error = 10.0 ** (-np.arange(QUALITIES) / 10.0)[None] / 3.0

        def match(rate: np.ndarray) -> np.ndarray:
            rate, same = rate[:, None], 1 - self.variants
            return (1 - rate) * (1 - error) * same + rate * error * same + error * self.variants * (1 - rate)

        ancient, modern = match(damage), match(np.full(MODEL_LENGTH, _MODERN))
        rates = np.array([_MODERN, self.variants, self.variants])
        library = SINGLE_STRANDED if self.library == "single-stranded" else DOUBLE_STRANDED
        udg = {"none": UDG_NONE, "half": UDG_HALF, "CpG": CPG_ONLY}[self.udg]
        ratios = np.zeros((3, MODEL_LENGTH, 256))
        ratios[0, :, :QUALITIES] = np.log(ancient / modern)
        ratios[1, :, :QUALITIES] = np.log((1 - ancient) / (1 - modern))
        ratios[:, :, QUALITIES:] = ratios[:, :, QUALITIES - 1 : QUALITIES]
        return ratios, damage, rates, library, udg


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
    ratios = PmdModel().arrays()[0]
    return ratios[0, :positions, :QUALITIES], ratios[1, :positions, :QUALITIES]


def pmd_scores(codes: np.ndarray, reference: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Return the PMD score of each read under PMDtools' defaults, for a double-stranded library.

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
    quality = np.minimum(quality, QUALITIES - 1)
    scores = np.zeros(len(codes))
    for base, changed, distance in ((1, 3, from_left), (2, 0, from_right)):
        for seen, table in ((base, equal), (changed, damaged)):
            rows, places = np.nonzero((reference == base) & (codes == seen))
            values = table[distance[rows, places], quality[rows, places]]
            scores += np.bincount(rows, values, len(codes))
    return scores

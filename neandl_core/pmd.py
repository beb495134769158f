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

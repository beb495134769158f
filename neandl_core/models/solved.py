"""What the models that are fitted outright, not by gradient steps, have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

COUNTS_BYTES = 2**34
"""More memory than this for the counts of one fit is refused."""


class SolvedModel(ABC):
    """A fitted model that takes codes of bases and returns P(label = 1).

    Attributes
    ----------
    engine
        The library that runs it.
    """

    engine: ClassVar[str] = "numpy"

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many numbers were learnt."""

    @abstractmethod
    def probabilities(self, codes: np.ndarray, threads: int = 1) -> np.ndarray:
        """Return P(label = 1), (n,) float32, for (n, width) uint8 codes of bases; in blocks, so memory is bounded."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model's own files into an existing folder."""

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return what else the model tells of itself, by file name; nothing unless a model says otherwise."""
        return {}

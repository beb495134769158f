"""Examples on their way to a network: batches cut from the files, or all of them kept on the GPU beforehand."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import torch

from neandl_core.dataset import Stack
from neandl_core.encoding import UNKNOWN_BASE, filled_lengths, reverse_complement
from neandl_core.packed_bases import PER_BYTE, SHIFTS, PackedBases

RESIDENT_DEVICES = ("cuda",)
"""Kinds of devices that keep all examples, where a batch that is sent to them costs more than the work on it."""
_SPARE = 4
"""Free memory that must be there for each byte of the examples: most of it is the network's."""

Inputs = np.ndarray | PackedBases | Stack


class Feed:
    """The inputs and labels of a dataset, handed out in batches on a device.

    A GPU with room for them keeps all examples, windows at two bits a base; only the numbers of a batch's rows go to
    it then. Batches are the same either way.

    Parameters
    ----------
    inputs
        As of `Dataset.inputs`.
    labels
        (examples,) float32.
    device
        Where batches are wanted.
    """

    def __init__(self, inputs: Inputs, labels: np.ndarray, device: torch.device) -> None:
        self._inputs, self._labels, self._device = inputs, labels, device
        self._kept: torch.Tensor | None = None
        if device.type in RESIDENT_DEVICES and _has_room(inputs, device):
            # What is free may lie in pieces too small, and another program may be quicker: then batches are sent.
            with suppress(torch.OutOfMemoryError):
                self._kept_labels = torch.from_numpy(labels).to(device)
                self._kept = torch.from_numpy(_whole(inputs)).to(device)

    @property
    def resident(self) -> bool:
        """Whether the device keeps all examples."""
        return self._kept is not None

    def batch(self, rows: np.ndarray, turned: np.ndarray | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs and labels of some rows.

        Parameters
        ----------
        rows
            (m,) numbers of rows.
        turned
            (m,) truths: rows wanted as their reverse complements. Of bases alone, without further layers.

        Returns
        -------
        inputs : (m, width) or (m, layers, width) uint8 tensor
        labels : (m,) float32 tensor
        """
        if self._kept is None:
            batch = self._inputs[rows]
            if turned is not None:
                batch[turned] = reverse_complement(batch[turned], filled_lengths(batch[turned]))
            labels = torch.from_numpy(self._labels[rows])
            return torch.from_numpy(batch).to(self._device), labels.to(self._device)
        places = torch.from_numpy(rows).to(self._device)
        batch = self._kept.index_select(0, places)
        if isinstance(self._inputs, PackedBases):
            batch = unpack(batch, self._inputs.width)
        if turned is not None:
            batch = torch.where(torch.from_numpy(turned).to(self._device).unsqueeze(1), other_strand(batch), batch)
        return batch, self._kept_labels.index_select(0, places)


def unpack(packed: torch.Tensor, width: int) -> torch.Tensor:
    """Return the (m, width) uint8 codes of (m, bytes) packed bases, on the same device."""
    shifts = torch.tensor(SHIFTS, dtype=torch.uint8, device=packed.device)
    codes = (packed.unsqueeze(2) >> shifts) & (PER_BYTE - 1)
    return codes.reshape(len(packed), -1)[:, :width]


def other_strand(codes: torch.Tensor) -> torch.Tensor:
    """Return reverse complements, as `encoding.reverse_complement` does, of (m, width) codes padded at their end."""
    place = torch.arange(codes.shape[1], device=codes.device)
    lengths = ((codes < UNKNOWN_BASE) * (place + 1)).amax(1, keepdim=True)
    source = lengths - 1 - place
    opposite = torch.where(codes < UNKNOWN_BASE, 3 - codes, codes)
    turned = opposite.gather(1, source.clamp(min=0))
    return torch.where(source < 0, UNKNOWN_BASE, turned).to(codes.dtype)


def _whole(inputs: Inputs) -> np.ndarray:
    return np.array(inputs.packed if isinstance(inputs, PackedBases) else inputs[:])


def _has_room(inputs: Inputs, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    row = inputs.packed[:1] if isinstance(inputs, PackedBases) else inputs[:1]
    free, _ = torch.cuda.mem_get_info(device)
    return free > _SPARE * row.nbytes * len(inputs)

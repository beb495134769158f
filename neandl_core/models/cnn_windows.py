"""A CNN for windows of a genome, in which a motif may lie anywhere."""

from __future__ import annotations

import torch
from torch import nn

from neandl_core.models import WINDOW_KERNELS
from neandl_core.models.cnn import BatchNorm
from neandl_core.ranks import Dropout

_POOL, _DROPOUT = 4, 0.3


class WindowCNN(nn.Module):
    """Bases -> motifs of 15 bases -> combinations of them -> the strongest and the mean answer of each -> logit.

    The published CNNs flatten: a motif 10 bases further on is another one to them, which suits reads, whose ends are
    fixed points. A window's start is arbitrary, so here each filter gives its maximum and its mean over the window, as
    in DeepBind (Alipanahi et al. 2015).

    Parameters
    ----------
    filters
        Filters of both convolutions.
    hidden
        Units of the dense layer.
    """

    def __init__(self, filters: int, hidden: int) -> None:
        super().__init__()
        wide, narrow = WINDOW_KERNELS
        self.motifs = nn.Conv2d(4, filters, (1, wide), padding=(0, wide // 2))
        self.motif_norm = BatchNorm(filters)
        self.combined = nn.Conv2d(filters, filters, (1, narrow), padding=(0, narrow // 2))
        self.combined_norm = BatchNorm(filters)
        self.dense = nn.Linear(2 * filters, hidden)
        self.dropout = Dropout(_DROPOUT)
        self.output = nn.Linear(hidden, 1)
        for layer in (self.motifs, self.combined, self.dense, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("bases", torch.eye(5, 4), persistent=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return logits, (n,) float32, of (n, width) uint8 codes of bases."""
        image = self.bases[codes.to(torch.int32)].unsqueeze(1).permute(0, 3, 1, 2)  # (n, 4, 1, width), channels last
        image = nn.functional.max_pool2d(torch.relu(self.motif_norm(self.motifs(image))), (1, _POOL))
        image = torch.relu(self.combined_norm(self.combined(image)))
        summary = torch.cat((image.amax(dim=(2, 3)), image.mean(dim=(2, 3))), dim=1)
        return self.output(self.dropout(torch.relu(self.dense(summary)))).squeeze(1)

"""The bag of k-mers: counts of all k-mers of an example into one wide dense layer."""

from __future__ import annotations

import torch
from torch import nn

from neandl_core.encoding import join_neighbours


class BagOfKmersMLP(nn.Module):
    """Base codes -> k-mer counts -> dense sigmoid units -> logit of P(label = 1).

    Parameters
    ----------
    k
        k-mer length, 1 to 6; 5 as published.
    hidden
        Units of the dense layer; 3,000 as published.
    l1
        Weight of the penalty on the dense layer's weights, added to the mean loss of a batch; 1e-5 as published.
    """

    def __init__(self, k: int, hidden: int, l1: float) -> None:
        super().__init__()
        self.k, self.l1 = k, l1
        self.dense = nn.Linear(4**k, hidden)
        self.output = nn.Linear(hidden, 1)
        for layer in (self.dense, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def counts(self, codes: torch.Tensor) -> torch.Tensor:
        """Return (n, 4**k) float32 counts, made on the network's device; k-mers with an N are not counted."""
        kmers = join_neighbours((codes & 3).to(torch.int64), self.k, 2)
        kmers = kmers.masked_fill(join_neighbours(codes > 3, self.k, 0), 4**self.k)
        counts = torch.zeros((len(codes), 4**self.k + 1), device=codes.device)
        counts.scatter_add_(1, kmers, torch.ones_like(kmers, dtype=torch.float32))
        return counts[:, :-1]

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return logits, (n,) float32, of (n, width) uint8 codes of bases."""
        return self.output(torch.sigmoid(self.dense(self.counts(codes)))).squeeze(1)

    def penalty(self) -> torch.Tensor:
        """Return what training adds to the loss."""
        return self.l1 * self.dense.weight.abs().sum()

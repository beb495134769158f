"""The shallow CNN on one-hot bases, as published for telling ancient from modern reads."""

from __future__ import annotations

import torch
from torch import nn

from neandl_core.models import CNN_DENSE as DENSE
from neandl_core.models import CNN_FILTERS as FILTERS
from neandl_core.models import CNN_KERNEL as KERNEL


class ShallowCNN(nn.Module):
    """Bases -> two convolutions of 32 filters over 5 bases -> pooling by 2 -> dense 16 -> two classes.

    The two convolutions are written as 2-D ones over an image one pixel high: in channels-last order torch runs them
    a third faster on a CPU than 1-D ones, with the same numbers.

    Parameters
    ----------
    width
        Bases per example, at least 2.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        same = (0, KERNEL // 2)
        self.first = nn.Conv2d(4, FILTERS, (1, KERNEL), padding=same)
        self.second = nn.Conv2d(FILTERS, FILTERS, (1, KERNEL), padding=same)
        self.dense = nn.Linear(width // 2 * FILTERS, DENSE)
        self.output = nn.Linear(DENSE, 2)
        for layer in (self.first, self.second, self.dense, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("bases", torch.eye(5, 4), persistent=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return logits.

        The softmax of two outputs equals the logistic function of their difference, which is what is returned.

        Parameters
        ----------
        codes
            (n, width) uint8 codes of bases; N and padding become all-zero columns.

        Returns
        -------
        Tensor
            (n,) float32, log-odds of label 1.
        """
        image = self.bases[codes.to(torch.int32)].unsqueeze(1).permute(0, 3, 1, 2)  # (n, 4, 1, width), channels last
        image = torch.relu(self.second(torch.relu(self.first(image))))
        pooled = nn.functional.max_pool2d(image, (1, 2))  # (n, 32, 1, width // 2)
        scores = self.output(torch.relu(self.dense(pooled.flatten(1))))
        return scores[:, 1] - scores[:, 0]

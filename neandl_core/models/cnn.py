"""The shallow and the deep CNN on one-hot bases, as published for telling ancient from modern reads."""

from __future__ import annotations

import torch
from torch import nn

from neandl_core.models import CNN_DENSE as DENSE
from neandl_core.models import CNN_FILTERS as FILTERS
from neandl_core.models import CNN_KERNEL as KERNEL
from neandl_core.models import DEEP_DENSE, DEEP_FILTERS
from neandl_core.ranks import Dropout, Share, batch_moments, current_share

_DROPOUT, _DENSE_DROPOUT = (0.2, 0.3, 0.4), 0.5
MOMENTUM, EPSILON = 0.01, 1e-3


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
        return self.from_bases(self.bases[codes.to(torch.int32)])

    def from_bases(self, bases: torch.Tensor) -> torch.Tensor:
        """Return logits of (n, width, 4) float32 shares of A, C, G and T at every place."""
        image = bases.unsqueeze(1).permute(0, 3, 1, 2)  # (n, 4, 1, width), channels last
        image = torch.relu(self.second(torch.relu(self.first(image))))
        pooled = nn.functional.max_pool2d(image, (1, 2))  # (n, 32, 1, width // 2)
        scores = self.output(torch.relu(self.dense(pooled.flatten(1))))
        return scores[:, 1] - scores[:, 0]


class BatchNorm(nn.Module):
    """Batch normalisation with the constants of Keras: moving averages of momentum 0.99, epsilon 0.001.

    Unlike torch's own it keeps no integer counter of batches, so that a stored model holds float32 arrays alone.

    Parameters
    ----------
    channels
        Size of the second axis.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the normalised values; in training the batch's own mean and variance are used."""
        share = current_share() if self.training else None
        if share is not None:
            return self._over_shares(values, share)
        return nn.functional.batch_norm(
            values, self.mean, self.variance, self.weight, self.bias, self.training, momentum=MOMENTUM, eps=EPSILON
        )

    def _over_shares(self, values: torch.Tensor, share: Share) -> torch.Tensor:
        """Do the same for a batch of which other processes have the rest."""
        mean, variance, counted = batch_moments(values, share)
        with torch.no_grad():
            self.mean.lerp_(mean, MOMENTUM)
            self.variance.lerp_(variance * counted / max(1, counted - 1), MOMENTUM)
        shape = [1, -1] + [1] * (values.dim() - 2)
        scale = self.weight * torch.rsqrt(variance + EPSILON)
        return values * scale.view(shape) + (self.bias - mean * scale).view(shape)


class DeepCNN(nn.Module):
    """Bases -> three blocks of 32, 64 and 128 filters -> dense 128 -> two classes.

    A block: twice a convolution over 5 bases, batch normalisation and ReLU, then pooling by 2 and dropout of 0.2, 0.3
    and 0.4. The dense layer is normalised too and followed by dropout of 0.5.

    Parameters
    ----------
    width
        Bases per example, at least 8.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 4
        for filters, share in zip(DEEP_FILTERS, _DROPOUT, strict=True):
            for _ in range(2):
                layers += [nn.Conv2d(channels, filters, (1, KERNEL), padding=(0, KERNEL // 2)), BatchNorm(filters),
                           nn.ReLU()]
                channels = filters
            layers += [nn.MaxPool2d((1, 2)), Dropout(share)]
        layers += [nn.Flatten(), nn.Linear(width // 8 * channels, DEEP_DENSE), BatchNorm(DEEP_DENSE), nn.ReLU(),
                   Dropout(_DENSE_DROPOUT), nn.Linear(DEEP_DENSE, 2)]
        self.layers = nn.Sequential(*layers)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        self.register_buffer("bases", torch.eye(5, 4), persistent=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return logits, (n,) float32, of (n, width) uint8 codes of bases."""
        return self.from_bases(self.bases[codes.to(torch.int32)])

    def from_bases(self, bases: torch.Tensor) -> torch.Tensor:
        """Return logits of (n, width, 4) float32 shares of A, C, G and T at every place."""
        scores = self.layers(bases.unsqueeze(1).permute(0, 3, 1, 2))
        return scores[:, 1] - scores[:, 0]

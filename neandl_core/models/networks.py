"""Make a network by its preset's name. Imports torch, as every network does."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from neandl_core.errors import SettingsError
from neandl_core.models import ENDS, LAYERS_SEEN, check_fit
from neandl_core.models.bag import BagOfKmersMLP
from neandl_core.models.bilstm import BiLSTM
from neandl_core.models.cnn import DeepCNN, ShallowCNN
from neandl_core.models.cnn_windows import WindowCNN
from neandl_core.models.ends import EndsCNN
from neandl_core.presets import PRESETS


def build(
    preset: str, width: int, k: int, seed: int, sizes: Mapping[str, float] | None = None
) -> nn.Module:
    """Make a network with starting weights that follow from `seed`; torch's own random state is left as it was.

    Parameters
    ----------
    preset
        One of `NETWORKS`.
    width
        Bases per example.
    k
        k-mer length; of no effect on networks that read bases.
    seed
        Source of the starting weights.
    sizes
        `hidden`, `filters`, `l1` where they are not the preset's own.
    """
    own = {**PRESETS[preset], **(sizes or {})} if preset in PRESETS else {}
    check_fit(preset, width, k)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if preset == "bilstm":
            return BiLSTM(k, own["hidden"])
        if preset == "cnn-shallow":
            return ShallowCNN(width)
        if preset == "cnn-deep":
            return DeepCNN(width)
        if preset == "cnn-windows":
            return WindowCNN(own["filters"], own["hidden"])
        if preset == "bag-of-kmers-mlp":
            return BagOfKmersMLP(k, own["hidden"], own["l1"])
        if preset in ENDS:
            return EndsCNN(1 + len(LAYERS_SEEN.get(preset, ())))
    raise SettingsError(f"train: there is no network {preset!r}.")

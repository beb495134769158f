"""A network on both ends of a read: bases, and if wanted the reference bases under them and their qualities.

Damage sits at the ends, so the network sees the first and the last `ENDS_BASES` bases, each counted from its own end,
and nothing of the read's length beyond that. Reads of any length fit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from neandl_core.models import CNN_KERNEL, ENDS_BASES, ENDS_DENSE, ENDS_FILTERS, ENDS_STATE
from neandl_core.pmd import score_tables
from neandl_core.ranks import Dropout

_DROPOUT = 0.2
BEST_QUALITY = 40
_USUAL_QUALITY = 35
_REFIT_EDGES = (1, 2, 3, 4, 5, 6, 10, 15)
"""Distances from an end at which a group of places with one common change of weight begins, after the first at 0."""
_REFIT_PENALTY = 3.0
"""Of a change of weight, squared and halved: a prior of spread 0.6 in log-odds around the PMD score's own weights."""
_REFIT_BLOCK = 8192


class EndsCNN(nn.Module):
    """A sum over places that begins as the PMD score, and a small convolutional network that adds to it.

    With reference bases a read is set against its undamaged twin, the same read with its C>T and G>A turned back. What
    is learnt is the difference of the two; the twin itself counts as in the PMD score, whose intact C and G speak
    against damage, and nothing of that is learnt. Otherwise a network learns which species, region or library the
    classes came from: on reads of two real samples the undamaged twins alone were told apart at an AUC of 0.67, better
    than by damage. Other differences from the reference are not seen, for they tell sequencers and populations apart.

    The sum has a learnt weight for each state at each distance from either end; with reference bases these begin at
    the log-likelihood ratios of PMDtools, and `refit_damage` fits those of damaged bases. The network's last layer
    begins at zero.

    Parameters
    ----------
    layers
        1: bases alone. 2: reference bases too. 3: qualities too.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.count = layers
        states = 5 if layers == 1 else 7
        self.padding = states
        self.places = nn.Parameter(_starting_weights(states))
        self.bias = nn.Parameter(torch.zeros(1))
        self.state = nn.Embedding(states + 1, ENDS_STATE)
        self.towers = nn.ModuleList(
            nn.Conv1d(ENDS_STATE + (layers == 3), ENDS_FILTERS, CNN_KERNEL, padding=CNN_KERNEL // 2) for _ in range(2)
        )
        self.head = nn.Sequential(
            Dropout(_DROPOUT), nn.Linear(2 * ENDS_FILTERS * ENDS_BASES, ENDS_DENSE), nn.ReLU(),
            Dropout(_DROPOUT), nn.Linear(ENDS_DENSE, 1, bias=False),
        )
        nn.init.zeros_(self.head[-1].weight)
        self.register_buffer("trust", _trust(), persistent=False)
        empty = torch.zeros(2, ENDS_BASES + 1, 1)
        self.register_buffer("intact", torch.cat([_starting_weights(states), empty], 2), persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits.

        Parameters
        ----------
        inputs
            (n, width) uint8 codes of bases, or (n, layers, width): bases, reference bases, qualities.

        Returns
        -------
        Tensor
            (n,) float32, log-odds of label 1.
        """
        inputs = inputs.unsqueeze(1) if inputs.dim() == 2 else inputs
        place = torch.arange(inputs.shape[2], device=inputs.device)
        lengths = ((inputs[:, 0] < 4) * (place + 1)).amax(1, keepdim=True)
        states = self.states_of(inputs, place < lengths)
        if self.count == 1:
            return self.bias + self._answer(states, inputs, lengths)
        twin = torch.where(states == 5, 1, torch.where(states == 6, 2, states))
        both = self._answer(torch.cat([states, twin]), torch.cat([inputs, inputs]), torch.cat([lengths, lengths]))
        distances = torch.stack([place.expand_as(states), lengths - 1 - place]).clamp(0, ENDS_BASES)
        intact = self.intact[0][distances[0], twin] + self.intact[1][distances[1], twin]
        return self.bias + intact.sum(1) + both[: len(states)] - both[len(states) :]

    def _answer(self, states: torch.Tensor, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the sum over places and the network's answer, (n,), for (n, width) states."""
        # A row of zeros for places behind the read, which must add nothing: length is no sign of age.
        weights = torch.cat([self.places, self.places.new_zeros(2, ENDS_BASES + 1, 1)], 2)
        place = torch.arange(states.shape[1], device=states.device)
        total, seen = 0, []
        for side, distance in enumerate((place.expand_as(states), lengths - 1 - place)):
            shares = weights[side, distance.clamp(0, ENDS_BASES), states]
            if self.count == 3:
                shares = shares * torch.where(states >= 5, self.trust[inputs[:, 2].to(torch.int64)], 1.0)
            total = total + shares.sum(1)
            index = place[:ENDS_BASES].expand(len(states), -1) if side == 0 else lengths - 1 - place[:ENDS_BASES]
            inside = (index >= 0) & (index < lengths)
            index = index.clamp(0, states.shape[1] - 1)
            channels = self.state(torch.where(inside, states.gather(1, index), self.padding))
            if self.count == 3:
                quality = inputs[:, 2].gather(1, index).clamp(max=BEST_QUALITY) * inside / BEST_QUALITY
                channels = torch.cat([channels, quality.unsqueeze(2)], 2)
            seen.append(torch.relu(self.towers[side](channels.transpose(1, 2))).flatten(1))
        return total + self.head(torch.cat(seen, 1)).squeeze(1)

    def states_of(self, inputs: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Return the (n, width) states of all places; those that are not `inside` the read have the state `padding`.

        0-4: the reference base, or the read's own where no reference is seen, 4 for none; 5: C read as T; 6: G as A.
        """
        bases = inputs[:, 0].to(torch.int64)
        if self.count == 1:
            return torch.where(inside, bases, self.padding)
        states = inputs[:, 1].to(torch.int64)
        states = torch.where((states == 1) & (bases == 3), 5, states)
        states = torch.where((states == 2) & (bases == 0), 6, states)
        return torch.where(inside, states, self.padding)


def refit_damage(network: EndsCNN, read: Callable[[slice], np.ndarray], labels: np.ndarray) -> None:
    """Fit the weights of damaged bases by distance from either end to labelled reads, starting from the PMD score's.

    PMDtools takes one curve of damage for all samples, and takes a C read as T deep inside a read for damage too. Here
    the weights are solved for outright (Newton's method on the penalised likelihood), as small steps from the PMD
    score hardly change them within a few thousand reads. Only damaged bases change their weight, so what is said of an
    undamaged twin stays as it was. The network must see reference bases.

    Parameters
    ----------
    network
        On the CPU; its weights are changed.
    read
        Returns the inputs of a slice of the reads.
    labels
        (n,) 0 or 1.
    """
    network.eval()
    groups = len(_REFIT_EDGES) + 1
    group = torch.bucketize(torch.arange(ENDS_BASES + 1), torch.tensor(_REFIT_EDGES), right=True)
    features = np.zeros((len(labels), 2, 2, groups))
    answers = np.zeros(len(labels))
    with torch.no_grad():
        for start in range(0, len(labels), _REFIT_BLOCK):
            here = slice(start, min(start + _REFIT_BLOCK, len(labels)))
            inputs = torch.from_numpy(read(here))
            answers[here] = network(inputs)
            place = torch.arange(inputs.shape[2])
            lengths = ((inputs[:, 0] < 4) * (place + 1)).amax(1, keepdim=True)
            states = network.states_of(inputs, place < lengths)
            counts = network.trust[inputs[:, 2].to(torch.int64)] if network.count == 3 else torch.ones_like(states)
            for side, distance in enumerate((place.expand_as(states), lengths - 1 - place)):
                of_place = group[distance.clamp(0, ENDS_BASES)]
                for column, state in enumerate((5, 6)):
                    found = torch.zeros(len(states), groups)
                    found.scatter_add_(1, of_place, ((states == state) * counts).float())
                    features[here, side, column] = found
    changes = _offset_logistic(features.reshape(len(labels), -1), answers, np.asarray(labels, float))
    weights = torch.from_numpy(changes[1:].reshape(2, 2, groups)).float()
    with torch.no_grad():
        network.bias += float(changes[0])
        for column, state in enumerate((5, 6)):
            network.places[:, :, state] += weights[:, column][:, group]


def _offset_logistic(features: np.ndarray, offset: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return intercept and weights of a logistic regression that adds to `offset`; the weights alone are penalised."""
    x = np.column_stack([np.ones(len(features)), features])
    penalty = np.full(x.shape[1], _REFIT_PENALTY)
    penalty[0] = 1e-6
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        share = 1 / (1 + np.exp(-np.clip(offset + x @ beta, -30, 30)))
        gradient = x.T @ (labels - share) - penalty * beta
        curvature = (x * np.maximum(share * (1 - share), 1e-6)[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        beta += np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-6:
            break
    return beta


def _trust() -> torch.Tensor:
    """Return (256,) what a C>T or G>A of each Phred quality counts against one of the usual quality, as in PMDtools."""
    damaged = torch.from_numpy(score_tables(1)[1][0]).float()
    return (damaged / damaged[_USUAL_QUALITY])[torch.arange(256).clamp(max=len(damaged) - 1)]


def _starting_weights(states: int) -> torch.Tensor:
    """Return (2 ends, ENDS_BASES + 1, states): PMD scores by distance and state, or zeros without reference bases.

    The last distance stands for all further ones.
    """
    weights = torch.zeros(2, ENDS_BASES + 1, states)
    if states == 7:
        equal, damaged = (torch.from_numpy(table[:, _USUAL_QUALITY]) for table in score_tables(ENDS_BASES + 1))
        for side, kept, changed in ((0, 1, 5), (1, 2, 6)):
            weights[side, :, kept], weights[side, :, changed] = equal.float(), damaged.float()
    return weights

"""Networks of reads on inputs that may lie between bases, which gradients with respect to a base need.

A network takes whole bases. Here each place holds a share of every state instead: for the CNNs A, C, G and T; for the
networks on ends their states, of which two are damaged bases. With whole states the answer is the network's own.
"""

from __future__ import annotations

import torch
from torch import nn

from neandl_core.errors import SettingsError
from neandl_core.models import ENDS_BASES
from neandl_core.models.cnn import DeepCNN, ShallowCNN
from neandl_core.models.ends import BEST_QUALITY, EndsCNN

_TWIN = (0, 1, 2, 3, 4, 1, 2)
"""State of the undamaged twin for each state with reference bases: C read as T becomes C, G read as A becomes G."""


def soften(network: nn.Module) -> SoftCNN | SoftEnds:
    """Return what answers for a network on shares of states.

    Raises
    ------
    SettingsError
        If the network does not read single bases of reads.
    """
    if isinstance(network, ShallowCNN | DeepCNN):
        return SoftCNN(network)
    if isinstance(network, EndsCNN):
        return SoftEnds(network)
    raise SettingsError("interpret: this model does not look at single bases of reads.")


class SoftCNN(nn.Module):
    """A CNN on shares of A, C, G and T."""

    def __init__(self, network: ShallowCNN | DeepCNN) -> None:
        super().__init__()
        self.network = network

    def states(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (n, width, 4) float32 of (n, width) uint8 codes; N and places past the end hold nothing."""
        return self.network.bases[inputs.to(torch.int64)]

    def forward(self, states: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits, (n,); `inputs` are the codes that `states` came from."""
        return self.network.from_bases(states)


class SoftEnds(nn.Module):
    """A network on ends on shares of its states; lengths and qualities stay those of the read."""

    def __init__(self, network: EndsCNN) -> None:
        super().__init__()
        self.network = network

    def states(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (n, width, states) float32 of the network's inputs; places past the end of a read hold nothing."""
        inputs, place, lengths = _parts(inputs)
        states = self.network.states_of(inputs, place < lengths)
        return nn.functional.one_hot(states, self.network.padding + 1)[:, :, :-1].float()

    def forward(self, states: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits, (n,); `inputs` give lengths and qualities."""
        network = self.network
        inputs, place, lengths = _parts(inputs)
        distances = [place.expand(len(inputs), -1), lengths - 1 - place]
        answer = network.bias + self._answer(states, inputs, lengths, distances)
        if network.count == 1:
            return answer
        twin = torch.zeros_like(states).index_add(2, torch.tensor(_TWIN, device=states.device), states)
        intact = sum(
            (network.intact[side, distance.clamp(0, ENDS_BASES), :-1] * twin).sum((1, 2))
            for side, distance in enumerate(distances)
        )
        return answer + intact - self._answer(twin, inputs, lengths, distances)

    def _answer(
        self, states: torch.Tensor, inputs: torch.Tensor, lengths: torch.Tensor, distances: list[torch.Tensor]
    ) -> torch.Tensor:
        network = self.network
        counted = states
        if network.count == 3:
            trust = network.trust[inputs[:, 2].to(torch.int64)].unsqueeze(2)
            counted = torch.cat([states[:, :, :5], states[:, :, 5:] * trust], 2)
        total, seen = 0, []
        for side, distance in enumerate(distances):
            total = total + (network.places[side, distance.clamp(0, ENDS_BASES)] * counted).sum((1, 2))
            near = torch.arange(ENDS_BASES, device=states.device)
            index = near.expand(len(states), -1) if side == 0 else lengths - 1 - near
            inside = ((index >= 0) & (index < lengths)).unsqueeze(2)
            index = index.clamp(0, states.shape[1] - 1)
            here = states.gather(1, index.unsqueeze(2).expand(-1, -1, states.shape[2])) * inside
            embedding = network.state.weight
            channels = here @ embedding[:-1] + ~inside * embedding[-1]
            if network.count == 3:
                quality = inputs[:, 2].gather(1, index).clamp(max=BEST_QUALITY).unsqueeze(2) * inside / BEST_QUALITY
                channels = torch.cat([channels, quality], 2)
            seen.append(torch.relu(network.towers[side](channels.transpose(1, 2))).flatten(1))
        return total + network.head(torch.cat(seen, 1)).squeeze(1)


def _parts(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (n, layers, width) inputs, places and (n, 1) lengths."""
    inputs = inputs.unsqueeze(1) if inputs.dim() == 2 else inputs
    place = torch.arange(inputs.shape[2], device=inputs.device)
    return inputs, place, ((inputs[:, 0] < 4) * (place + 1)).amax(1, keepdim=True)

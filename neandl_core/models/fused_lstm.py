"""The BiLSTM's recurrent part on a CPU: k-mers, embedding and both LSTM directions in one pass, for torch's autograd.

The parameters stay those of `nn.Embedding` and `nn.LSTM`, so a network trained here runs with torch's own LSTM and
the other way round. Blocks of windows are shared out among threads; a result does not depend on their number.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch

from neandl_core.models import lstm_kernels as kernels
from neandl_core.models.lstm_kernels import GATES, INPUTS, LANES, SIZE
from neandl_core.models.sharing import share_out

_local = threading.local()
WEIGHTS = tuple(
    f"{kind}_l0{side}" for side in ("", "_reverse") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
)
"""Names of the parameters of `nn.LSTM`, in the order in which they are given to `last_states`."""


def last_states(
    codes: torch.Tensor, k: int, embedding: torch.Tensor, weights: list[torch.Tensor], sparse: bool = True
) -> torch.Tensor:
    """Return the last hidden states of both directions over a window's k-mers.

    Parameters
    ----------
    codes
        (n, width) uint8 codes of bases, on the CPU.
    k
        k-mer length.
    embedding
        (4**k + 1, 10) float32; the last row is for k-mers with an N and gets no gradient.
    weights
        The eight parameters of an `nn.LSTM` of sizes 10 and 10, in the order of `WEIGHTS`.
    sparse
        Whether the embedding's gradient names only the rows met.

    Returns
    -------
    Tensor
        (n, 20) float32: forward direction, reverse direction.
    """
    if torch.is_grad_enabled():
        return _LastStates.apply(codes, k, sparse, embedding, *weights)
    return _forward(codes.contiguous().numpy(), k, embedding, weights)


def _room(steps: int) -> dict[str, np.ndarray]:
    """Return the calling thread's arrays, made once per length of windows."""
    if getattr(_local, "steps", 0) != steps:
        _local.steps, _local.room = steps, kernels.rooms(steps)
    return _local.room


def _packed(weights: list[torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights as (2, gates, 2 size) and the biases, of which torch has two per gate, as (2, gates)."""
    arrays = [weight.detach().numpy() for weight in weights]
    return (
        np.stack([np.hstack(arrays[start : start + 2]) for start in (0, 4)]),
        np.stack([arrays[start] + arrays[start + 1] for start in (2, 6)]),
    )


def _forward(codes: np.ndarray, k: int, embedding: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
    packed, biases = _packed(weights)
    flat, table = packed.reshape(2, -1), embedding.detach().numpy().reshape(-1)
    last = np.empty((len(codes), INPUTS), np.float32)

    def work(block: int) -> None:
        room = _room(codes.shape[1] - k + 1)
        kernels.forward_block(
            codes, block, k, table, flat, biases, last, room["kmers"], room["inputs"], room["kept"]
        )

    share_out(-(-len(codes) // LANES), work)
    return torch.from_numpy(last)


class _LastStates(torch.autograd.Function):
    """`last_states` with gradients."""

    @staticmethod
    def forward(
        ctx: Any, codes: torch.Tensor, k: int, sparse: bool, embedding: torch.Tensor, *weights: torch.Tensor
    ) -> torch.Tensor:
        codes = codes.contiguous()
        ctx.k, ctx.sparse = k, sparse
        ctx.save_for_backward(codes, embedding, *weights)
        return _forward(codes.numpy(), k, embedding, list(weights))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope_last: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        codes, embedding, *weights = ctx.saved_tensors
        codes, k, table = codes.numpy(), ctx.k, embedding.detach().numpy().reshape(-1)
        slope_last = slope_last.contiguous().numpy()
        packed, biases = _packed(weights)
        flat, turned = packed.reshape(2, -1), packed.transpose(0, 2, 1).reshape(2, -1)
        blocks, steps = -(-len(codes) // LANES), codes.shape[1] - k + 1
        slope_weights = np.empty((blocks, 2, GATES * INPUTS), np.float32)
        slope_biases = np.empty((blocks, 2, GATES), np.float32)
        slope_kmers = np.empty((len(codes), steps, SIZE), np.float32)
        kmers = np.empty((len(codes), steps), np.int64)

        def work(block: int) -> None:
            kernels.backward_block(
                codes, block, k, table, flat, biases, turned, slope_last, slope_weights, slope_biases, slope_kmers,
                kmers, **_room(steps),
            )

        share_out(blocks, work)
        # As of `nn.Embedding(sparse=True)`: k-mers may repeat, and a dense gradient of all k-mers is never made.
        rows = torch.sparse_coo_tensor(
            torch.from_numpy(kmers.reshape(1, -1)), torch.from_numpy(slope_kmers.reshape(-1, SIZE)), embedding.shape,
            check_invariants=False,
        )
        of_weights = torch.from_numpy(slope_weights.sum(axis=0).reshape(2, GATES, INPUTS))
        of_biases = torch.from_numpy(slope_biases.sum(axis=0))
        slopes = [
            slope for side in range(2)
            for slope in (of_weights[side, :, :SIZE], of_weights[side, :, SIZE:], of_biases[side], of_biases[side])
        ]
        return None, None, None, rows if ctx.sparse else rows.to_dense(), *slopes


def compile_kernels() -> None:
    """Compile the kernels, or load what was compiled before, by two windows' forward and backward pass."""
    network = torch.nn.LSTM(SIZE, SIZE, bidirectional=True)
    embedding = torch.nn.Embedding(5, SIZE)
    codes = torch.zeros((2, 3), dtype=torch.uint8)
    with torch.enable_grad():
        last_states(codes, 1, embedding.weight, lstm_weights(network)).sum().backward()


def lstm_weights(lstm: torch.nn.LSTM) -> list[torch.Tensor]:
    """Return the parameters of an `nn.LSTM` in the order that `last_states` takes."""
    return [getattr(lstm, name) for name in WEIGHTS]

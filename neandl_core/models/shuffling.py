"""A BiLSTM's answers with single k-mers exchanged between windows: compiled on a CPU, or by torch's own LSTM."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from neandl_core.encoding import kmer_codes
from neandl_core.models import shuffle_kernels as kernels
from neandl_core.models.bilstm import BiLSTM
from neandl_core.models.fused_lstm import lstm_weights
from neandl_core.models.sharing import share_out, sharing_threads

_GROUP = 8
"""Blocks a thread does between two looks at progress, and at whether to stop: a second or two of work."""


def exchanged_logits(
    network: BiLSTM, codes: np.ndarray, exchanged: np.ndarray, on_windows: Callable[[int], None] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a network's logits of windows, and of the same windows with one k-mer exchanged at each place in turn.

    Parameters
    ----------
    network
        On its device.
    codes
        (n, width) uint8 codes of bases.
    exchanged
        (repeats, steps, n) int32: the k-mer that window i gets at each of the width - k + 1 places, 4**k for one with
        an N.
    on_windows
        Told how many windows are done since the last call.

    Returns
    -------
    plain, changed
        (n,) and (repeats, steps, n) float32.
    """
    if network.engine != "fused":
        return _by_torch(network, codes, exchanged, on_windows)
    repeats, steps, count = exchanged.shape
    packed = [weight.detach().numpy() for weight in lstm_weights(network.lstm)]
    weights = np.stack([np.hstack(packed[start : start + 2]) for start in (0, 4)]).reshape(2, -1)
    biases = np.stack([packed[start] + packed[start + 1] for start in (2, 6)])
    table, dense, dense_bias, output = (
        tensor.detach().numpy().reshape(-1)
        for tensor in (network.embedding.weight, network.dense.weight, network.dense.bias, network.output.weight)
    )
    output_bias = np.float32(network.output.bias.item())
    plain, changed = np.empty(count, np.float32), np.empty((repeats, steps, count), np.float32)
    # One layout, so that the kernel is compiled once.
    codes, exchanged = np.ascontiguousarray(codes), np.ascontiguousarray(exchanged, np.int32)
    spare = [kernels.rooms(steps, repeats) for _ in range(sharing_threads())]
    blocks, group = -(-count // kernels.LANES), _GROUP * sharing_threads()

    for start in range(0, blocks, group):
        def work(number: int, start: int = start) -> None:
            room = spare.pop()  # one step of the interpreter: no two threads get the same arrays
            kernels.exchange_block(
                codes, exchanged, start + number, network.k, table, weights, biases, dense, dense_bias, output,
                output_bias, plain, changed, **room,
            )
            spare.append(room)

        here = min(group, blocks - start)
        share_out(here, work)
        if on_windows is not None:
            on_windows(min(count, (start + here) * kernels.LANES) - start * kernels.LANES)
    return plain, changed


@torch.inference_mode()
def _by_torch(
    network: BiLSTM, codes: np.ndarray, exchanged: np.ndarray, on_windows: Callable[[int], None] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Read every changed window whole."""
    device = network.embedding.weight.device
    size = 16_384 if device.type == "cuda" else 512

    def logits(kmers: torch.Tensor) -> np.ndarray:
        _, (last, _) = network.lstm(network.embedding(kmers))
        states = torch.cat((last[0], last[1]), dim=1)
        return network.output(torch.relu(network.dense(states))).squeeze(1).cpu().numpy()

    plain, changed = np.empty(len(codes), np.float32), np.empty(exchanged.shape, np.float32)
    for start in range(0, len(codes), size):
        here = slice(start, start + size)
        kmers = torch.from_numpy(kmer_codes(codes[here], network.k).astype(np.int64)).to(device)
        plain[here] = logits(kmers)
        for repeat, at in np.ndindex(*exchanged.shape[:2]):
            own = kmers[:, at].clone()
            kmers[:, at] = torch.from_numpy(exchanged[repeat, at, here].astype(np.int64)).to(device)
            changed[repeat, at, here] = logits(kmers)
            kmers[:, at] = own
        if on_windows is not None:
            on_windows(len(kmers))
    return plain, changed

"""RMSprop whose step costs what a batch touches, not what the vocabulary holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch

from neandl_core.models.compiling import obstacle
from neandl_core.models.sharing import share_out, sharing_threads


class RowRMSprop(torch.optim.Optimizer):
    """RMSprop as torch's, with the epsilon outside the square root, and exact for sparse gradients of embeddings.

    A batch of 256 windows meets some 49,000 of a million 10-mers. Rows without a gradient do not move under RMSprop;
    only their running mean of squares decays, by the same factor each step. So the decay is made up for when a row is
    next met, and the result is that of the dense formula (Tieleman and Hinton 2012) without passing over all rows.

    Parameters
    ----------
    parameters
        Tensors; gradients may be dense or sparse by rows.
    lr
        Learning rate.
    alpha
        Decay of the mean of squares per step.
    eps
        Added to its root.
    """

    def __init__(
        self, parameters: Iterable[torch.Tensor], lr: float, alpha: float = 0.9, eps: float = 1e-7
    ) -> None:
        super().__init__(parameters, {"lr": lr, "alpha": alpha, "eps": eps})
        self._slots: dict[torch.Tensor, np.ndarray] = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """Move the parameters against their gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter.grad.is_sparse:
                    self._step_rows(parameter, **_constants(group))
                else:
                    self._step_all(parameter, **_constants(group))
        return loss

    def load_state_dict(self, state_dict: dict) -> None:
        """Take up a saved state. torch turns all numbers of a state into those of its parameter; steps stay whole."""
        super().load_state_dict(state_dict)
        for state in self.state.values():
            if "met" in state:
                state["met"] = state["met"].to(torch.int32)

    def _step_all(self, parameter: torch.Tensor, lr: float, alpha: float, eps: float) -> None:
        state = self.state[parameter]
        if not state:
            state["squares"] = torch.zeros_like(parameter)
        squares, gradient = state["squares"], parameter.grad
        squares.mul_(alpha).addcmul_(gradient, gradient, value=1 - alpha)
        parameter.addcdiv_(gradient, squares.sqrt().add_(eps), value=-lr)

    def _step_rows(self, parameter: torch.Tensor, lr: float, alpha: float, eps: float) -> None:
        state = self.state[parameter]
        if not state:
            state["squares"] = torch.zeros_like(parameter)
            state["met"] = torch.zeros(len(parameter), dtype=torch.int32, device=parameter.device)
            state["step"] = 0
        state["step"] += 1
        if parameter.device.type == "cpu" and parameter.dtype == torch.float32 and not obstacle():
            self._step_rows_compiled(parameter, lr, alpha, eps)
            return
        # A batch holds some k-mers more than once: their gradients are summed. `coalesce` does the same, at half the
        # speed.
        rows, place = torch.unique(parameter.grad._indices()[0], return_inverse=True)
        values = torch.zeros(len(rows), parameter.shape[1], device=parameter.device)
        values.index_add_(0, place, parameter.grad._values())
        missed = (state["step"] - state["met"].index_select(0, rows)).to(values.dtype).unsqueeze(1)
        squares = state["squares"].index_select(0, rows).mul_(torch.pow(alpha, missed))
        squares.addcmul_(values, values, value=1 - alpha)
        state["squares"].index_copy_(0, rows, squares)
        state["met"].index_fill_(0, rows, state["step"])
        moved = parameter.index_select(0, rows).addcdiv_(values, squares.sqrt_().add_(eps), value=-lr)
        parameter.index_copy_(0, rows, moved)

    def _step_rows_compiled(self, parameter: torch.Tensor, lr: float, alpha: float, eps: float) -> None:
        from neandl_core.models import row_kernels

        state, gradient = self.state[parameter], parameter.grad
        met, slopes = gradient._indices()[0].numpy(), gradient._values().contiguous().numpy()
        # Kept outside of `state`, as it holds nothing between steps that a checkpoint should store.
        if parameter not in self._slots:
            self._slots[parameter] = np.zeros(len(parameter), np.int32)
        slots = self._slots[parameter]
        rows, places = np.empty(len(met), np.int64), np.empty(len(met), np.int32)
        rows = rows[: row_kernels.number_rows(met, slots, rows, places)]
        sums = np.empty((len(rows), parameter.shape[1]), np.float32)
        arrays = (parameter.numpy(), state["squares"].numpy(), state["met"].numpy())
        decays = np.float32(alpha) ** np.arange(1000, dtype=np.float32)
        parts = sharing_threads()

        def work(part: int) -> None:
            mine = slice(part * len(rows) // parts, (part + 1) * len(rows) // parts)
            row_kernels.sum_rows(places, slopes, mine.start, sums[mine])
            row_kernels.step_rows(rows[mine], sums[mine], *arrays, state["step"], decays, lr, alpha, eps)

        share_out(parts, work)


def _constants(group: dict) -> dict[str, float]:
    return {name: group[name] for name in ("lr", "alpha", "eps")}

"""The BiLSTM on k-mers: embedding, one bidirectional LSTM, a small dense layer.

Sizes and starting values are those of the published network as Keras makes it: one bias per gate, forget gates
starting open, Glorot-uniform input weights, orthogonal recurrent weights, embeddings uniform in +-0.05 (a wider
start learns worse).
"""

from __future__ import annotations

import torch
from torch import nn

from neandl_core.encoding import join_neighbours
from neandl_core.models import BILSTM_HIDDEN as HIDDEN
from neandl_core.models.compiling import obstacle

EMBEDDING_START = 0.05


class BiLSTM(nn.Module):
    """Window of base codes -> k-mers -> logit of P(label = 1).

    Parameters
    ----------
    k
        k-mer length; the vocabulary is all 4**k k-mers. One row more stands for k-mers with an N: a vector of zeros
        that is never trained and not counted as parameters.
    hidden
        Size of the embedding, of the LSTM in each direction and of the dense layer; 10 as published. The compiled
        kernels are made for 10 alone.

    Attributes
    ----------
    fused
        Whether the compiled kernels of `fused_lstm` may run in place of `nn.LSTM` where they can. Weights, and up to
        rounding results, are the same.
    """

    fused = True

    def __init__(self, k: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.k = k
        self.hidden = hidden
        self.embedding = nn.Embedding(4**k + 1, hidden, padding_idx=4**k, sparse=True)
        self.lstm = nn.LSTM(hidden, hidden, bidirectional=True, batch_first=True)
        self.dense = nn.Linear(2 * hidden, hidden)
        self.output = nn.Linear(hidden, 1)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        nn.init.uniform_(self.embedding.weight, -EMBEDDING_START, EMBEDDING_START)
        self.embedding.weight[-1] = 0
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(parameter)
            elif name.startswith("weight_hh"):
                # Keras draws the (10, 40) matrix of all four gates as one orthogonal block.
                nn.init.orthogonal_(parameter)
            else:
                nn.init.zeros_(parameter)
                if name.startswith("bias_ih"):
                    parameter[self.hidden : 2 * self.hidden] = 1
                else:
                    # torch adds two biases per gate; the second stays at zero, which leaves one.
                    parameter.requires_grad_(False)
        for layer in (self.dense, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return logits.

        Parameters
        ----------
        codes
            (n, width) uint8 codes of bases, on the network's device; k-mers are hashed there.

        Returns
        -------
        Tensor
            (n,) float32.
        """
        last = self._last_fused(codes) if self.engine == "fused" else self._last(codes)  # (n, 2 * hidden)
        return self.output(torch.relu(self.dense(last))).squeeze(1)

    @property
    def engine(self) -> str:
        """What runs the recurrent part: `fused` on a CPU, or `nn.LSTM` on a GPU and where nothing can be compiled."""
        table = self.embedding.weight
        at_home = table.device.type == "cpu" and table.dtype == torch.float32 and self.hidden == HIDDEN
        return "fused" if self.fused and at_home and not obstacle() else "nn.LSTM"

    def _last_fused(self, codes: torch.Tensor) -> torch.Tensor:
        from neandl_core.models.fused_lstm import last_states, lstm_weights

        return last_states(codes, self.k, self.embedding.weight, lstm_weights(self.lstm), self.embedding.sparse)

    def _last(self, codes: torch.Tensor) -> torch.Tensor:
        kmers = join_neighbours((codes & 3).to(torch.int32), self.k, 2)
        unknown = join_neighbours(codes > 3, self.k, 0)
        kmers = kmers.masked_fill(unknown, 4**self.k)  # (n, width - k + 1)
        _, (last, _) = self.lstm(self.embedding(kmers))  # last: (2 directions, n, hidden)
        return torch.cat((last[0], last[1]), dim=1)

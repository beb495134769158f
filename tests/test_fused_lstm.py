from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neandl_core.encoding import kmer_codes
from neandl_core.models import compiling, fused_lstm, lstm_kernels
from neandl_core.models.bilstm import BiLSTM
from neandl_core.models.networks import build
from neandl_core.models.rmsprop import RowRMSprop
from neandl_core.models.sharing import share_out, sharing_threads, threads_taken_over
from neandl_core.prediction import network_probabilities, torch_threads
from neandl_core.training import make_optimiser

K, WIDTH = 4, 45


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks gain nothing from a second thread and wait for it where the cores are busy."""
    with torch_threads(1):
        yield


def codes_of(n: int, seed: int = 0, width: int = WIDTH) -> torch.Tensor:
    """Random windows; the second, where there is one, holds N at its start, in its middle and at its end."""
    codes = np.random.default_rng(seed).integers(0, 4, (n, width), dtype=np.uint8)
    codes[1:2, [0, 20, 21, width - 1]] = 4
    return torch.from_numpy(codes)


def network_of(seed: int = 1, scale: float = 6.0) -> BiLSTM:
    """A network whose weights are large enough for gates to leave their linear range."""
    network = build("bilstm", WIDTH, K, seed=seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.mul_(scale if parameter is network.embedding.weight else 1.7)
    return network


def with_engine(network: BiLSTM, fused: bool) -> BiLSTM:
    twin = BiLSTM(network.k)
    twin.load_state_dict(network.state_dict())
    twin.fused = fused
    return twin.to(network.embedding.weight.dtype)


def loss_of(network: BiLSTM, codes: torch.Tensor) -> torch.Tensor:
    labels = (torch.arange(len(codes)) % 2).to(network.output.weight.dtype)
    return torch.nn.functional.binary_cross_entropy_with_logits(network(codes), labels)


def gradients(network: BiLSTM, codes: torch.Tensor) -> dict[str, torch.Tensor]:
    loss_of(network, codes).backward()
    return {
        name: parameter.grad.to_dense().double() for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }


def test_compiled_here():
    assert compiling.obstacle() == ""
    assert build("bilstm", WIDTH, K, seed=1).engine == "fused"


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_outputs_equal_those_of_torch(n):
    network, codes = network_of(), codes_of(n)
    twin = with_engine(network, False)
    assert (network.engine, twin.engine) == ("fused", "nn.LSTM")
    with torch.no_grad():
        torch.testing.assert_close(network(codes), twin(codes), rtol=0, atol=1e-5)
    torch.testing.assert_close(network(codes), twin(codes), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n", [1, 33, 100])
@pytest.mark.parametrize("width", [K, 19, WIDTH, 80])
def test_gradients_equal_a_reference_of_twice_the_precision(n, width):
    network, codes = network_of(), codes_of(n, width=max(width, 22))[:, :width].contiguous()
    exact = gradients(with_engine(network.double(), False), codes)
    ours = gradients(network.float(), codes)
    assert ours.keys() == exact.keys()
    for name, gradient in exact.items():
        # After a single step, whose hidden state before is zero, the recurrent weights have no gradient.
        assert gradient.any() or (width == K and "weight_hh" in name), name
        assert (ours[name] - gradient).abs().max() <= 2e-5 * gradient.abs().max(), name


def test_gradients_equal_those_of_torch():
    network, codes = network_of(scale=1.0), codes_of(70)
    ours, theirs = (gradients(with_engine(network, fused), codes) for fused in (True, False))
    for name, gradient in theirs.items():
        assert (ours[name] - gradient).abs().max() < 1e-4 * gradient.abs().max(), name


def test_kmers_are_those_of_the_encoding():
    codes = codes_of(40)
    codes[5] = 4
    rows = gradient_rows(codes)
    np.testing.assert_array_equal(rows, kmer_codes(codes.numpy(), K))


def gradient_rows(codes: torch.Tensor) -> np.ndarray:
    network = network_of()
    loss_of(network, codes).backward()
    gradient = network.embedding.weight.grad
    assert gradient.is_sparse
    rows = gradient._indices()[0].reshape(len(codes), -1).numpy()
    assert not gradient._values()[torch.from_numpy(rows.ravel()) == 4**K].any(), "k-mers with an N learn nothing"
    return rows


def test_result_does_not_depend_on_threads():
    codes, found = codes_of(150), []
    for threads in (1, 2, 5):
        network = network_of()
        with torch_threads(threads), threads_taken_over():
            assert (sharing_threads(), torch.get_num_threads()) == (threads, 1)
            found.append(gradients(network, codes))
    for other in found[1:]:
        assert all(torch.equal(gradient, other[name]) for name, gradient in found[0].items())


def test_threads_are_given_back():
    def fail() -> None:
        with threads_taken_over(), threads_taken_over():
            assert sharing_threads() == 3
            raise KeyError

    with torch_threads(3):
        with pytest.raises(KeyError):
            fail()
        assert (sharing_threads(), torch.get_num_threads()) == (3, 3)


def test_work_is_shared_out_once_each_and_errors_come_back():
    done = []
    with torch_threads(4):
        share_out(50, done.append)
        assert sorted(done) == list(range(50))
        with pytest.raises(ZeroDivisionError):
            share_out(8, lambda number: 1 // (number - 5))


def test_both_engines_learn_the_same():
    """Fifteen steps of RMSprop from the same start, the compiled row step against torch's dense formula."""
    network = network_of(scale=1.0)
    ours, theirs = with_engine(network, True), with_engine(network, False)
    theirs.embedding.sparse = False
    parameters = [parameter for parameter in theirs.parameters() if parameter.requires_grad]
    optimisers = [make_optimiser("bilstm", ours, 0.003), torch.optim.RMSprop(parameters, 0.003, alpha=0.9, eps=1e-7)]
    assert isinstance(optimisers[0], RowRMSprop)
    for step in range(15):
        for one, optimiser in zip((ours, theirs), optimisers, strict=True):
            optimiser.zero_grad()
            loss_of(one, codes_of(40, seed=step % 4)).backward()
            optimiser.step()
    codes = codes_of(64, seed=9)
    torch.testing.assert_close(ours(codes), theirs(codes), rtol=1e-2, atol=2e-3)
    assert not ours.embedding.weight[-1].any()


def test_one_engine_trains_and_the_other_predicts():
    network = network_of()
    codes = codes_of(5000).numpy()
    torch_only = with_engine(network, False)
    assert network.state_dict().keys() == torch_only.state_dict().keys()
    np.testing.assert_allclose(
        network_probabilities(network, codes), network_probabilities(torch_only, codes), atol=1e-5
    )
    assert network_probabilities(network, codes[:0]).shape == (0,)


def test_without_a_compiler_torch_does_it(monkeypatch):
    for module in ("bilstm", "rmsprop"):
        monkeypatch.setattr(f"neandl_core.models.{module}.obstacle", lambda: "numba cannot compile here (LLVM)")
    network = network_of(scale=1.0)
    assert network.engine == "nn.LSTM"
    optimiser = make_optimiser("bilstm", network, 0.01)
    first = loss_of(network, codes_of(40))
    for _ in range(12):
        optimiser.zero_grad()
        loss = loss_of(network, codes_of(40))
        loss.backward()
        optimiser.step()
    assert loss < first - 0.002


def test_other_numbers_and_places_are_left_to_torch():
    assert network_of().double().engine == "nn.LSTM"
    assert BiLSTM(2).to("meta").engine == "nn.LSTM"


def test_a_network_that_is_no_number_says_so():
    network = network_of()
    with torch.no_grad():
        network.lstm.weight_hh_l0[3, 3] = float("nan")
    assert torch.isnan(network(codes_of(3))).all()


def test_tanh_is_accurate():
    values = np.linspace(-12, 12, 20_001, dtype=np.float32)
    assert max(abs(lstm_kernels.tanh(x) - np.tanh(np.float64(x))) for x in values) < 3e-7


def test_kernels_are_kept_for_the_next_process():
    """A second process loads what the first compiled."""
    assert compiling.obstacle() == ""
    program = (
        "import time, torch; from neandl_core.models.compiling import obstacle; began = time.perf_counter(); "
        "assert obstacle() == ''; from neandl_core.models import lstm_kernels as k; "
        "print(sum(k.backward_block.stats.cache_misses.values()), time.perf_counter() - began)"
    )
    root = Path(fused_lstm.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    misses, _ = done.stdout.split()
    assert int(misses) == 0

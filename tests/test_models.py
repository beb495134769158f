from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from neandl_core.encoding import kmer_counts, one_hot
from neandl_core.errors import InputError, SettingsError
from neandl_core.models import ENDS, LAYERS_SEEN, check_fit, parameter_count
from neandl_core.models.logistic import KmerLogistic, fit_kmer_logistic
from neandl_core.models.networks import build
from neandl_core.models.rmsprop import RowRMSprop
from neandl_core.models.store import ModelCard, load_stored, save_model
from neandl_core.pmd import pmd_scores
from neandl_core.prediction import load_model, network_probabilities, resolve_device, torch_threads
from neandl_core.training import make_optimiser


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks gain nothing from a second thread and wait for it where the cores are busy."""
    with torch_threads(1):
        yield


def codes_of(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (n, width), dtype=np.uint8)


def card(preset: str = "bilstm", width: int = 30, k: int = 3) -> ModelCard:
    return ModelCard.make(
        preset=preset, width=width, k=k, classes=("depleted", "introgressed"), dataset_kind="windows", parameters=1,
        split="chromosome", settings={}, optimiser="none",
    )


def learnt_numbers(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def test_bilstm_has_the_published_size():
    assert parameter_count("bilstm", vocabulary=964_114) == 9_643_041
    # The row for k-mers with an N is never trained and not counted.
    assert learnt_numbers(build("bilstm", 30, 3, seed=1)) - 10 == parameter_count("bilstm", vocabulary=64)


@pytest.mark.parametrize("width", [76, 77, 200])
def test_cnn_has_the_counted_size(width):
    assert learnt_numbers(build("cnn-shallow", width, 0, seed=1)) == parameter_count("cnn-shallow", width=width)


def test_cnn_of_76_bases_has_the_published_size():
    assert parameter_count("cnn-shallow", width=76) == 25_330


@pytest.mark.parametrize("width", [8, 76, 103])
def test_deep_cnn_has_the_counted_size(width):
    assert learnt_numbers(build("cnn-deep", width, 0, seed=1)) == parameter_count("cnn-deep", width=width)


def test_deep_cnn_of_76_bases_has_the_size_of_its_layers():
    # Written out: convolutions, normalisations (scale and shift), dense 9 x 128 -> 128, its normalisation, output.
    convolutions = 672 + 5152 + 10304 + 20544 + 41088 + 82048
    assert parameter_count("cnn-deep", width=76) == convolutions + 2 * 2 * (32 + 64 + 128) + 147_584 + 256 + 258
    with pytest.raises(SettingsError, match="at least 8 bases"):
        check_fit("cnn-deep", 7, 0)


def test_deep_cnn_is_stored_with_its_moving_averages(tmp_path):
    network = build("cnn-deep", 40, 0, seed=1)
    network(torch.from_numpy(codes_of(64, 40)))
    save_model(tmp_path, card("cnn-deep", 40, 0), network)
    codes = codes_of(20, 40, seed=4)
    got = load_model(tmp_path, "cpu", 1).probabilities(codes)
    np.testing.assert_array_equal(got, network_probabilities(network, codes))
    assert not np.array_equal(got, network_probabilities(build("cnn-deep", 40, 0, seed=1), codes))


@pytest.mark.parametrize("preset", ENDS)
def test_networks_on_ends_have_the_counted_size_and_see_the_same_of_any_length(preset):
    network = build(preset, 60, 0, seed=1).eval()
    assert learnt_numbers(network) == parameter_count(preset)
    layers = 1 + len(LAYERS_SEEN.get(preset, ()))
    torch.nn.init.normal_(network.head[-1].weight)
    codes = codes_of(4 * layers, 60).reshape(4, layers, 60)
    codes[:, 0, 40:] = 4
    inputs = codes if layers > 1 else codes[:, 0]
    wider = np.pad(inputs, [(0, 0)] * (inputs.ndim - 1) + [(0, 40)], constant_values=4)
    with torch.inference_mode():
        torch.testing.assert_close(network(torch.from_numpy(inputs)), network(torch.from_numpy(wider)))


def test_the_network_with_reference_begins_as_the_pmd_score():
    rng = np.random.default_rng(2)
    codes, reference = codes_of(200, 70), codes_of(200, 70, seed=1)
    reference = np.where(rng.random(codes.shape) < 0.9, codes, reference)
    lengths = rng.integers(30, 71, 200)
    beyond = np.arange(70) >= lengths[:, None]
    codes[beyond] = reference[beyond] = 4
    # Bases that are neither kept nor deaminated do not count for PMDtools, and count as kept for the network.
    odd = (reference != codes) & ~((reference == 1) & (codes == 3)) & ~((reference == 2) & (codes == 0))
    reference[odd] = 4
    with torch.inference_mode():
        got = build("ends-reference", 70, 0, seed=1).eval()(torch.from_numpy(np.stack([codes, reference], 1))).numpy()
    expected = pmd_scores(codes, reference, np.full_like(codes, 35))
    assert np.corrcoef(got, expected)[0, 1] > 0.9999  # beyond 24 bases the damage expected is rounded to its limit
    assert np.abs(got - expected).max() < 0.05


@pytest.mark.parametrize("preset", ["ends-reference", "ends-quality"])
def test_what_a_network_on_ends_learns_says_nothing_of_undamaged_reads(preset):
    """Composition, species and sequencer must not come in: only C>T and G>A may change an answer."""
    fresh, trained = build(preset, 60, 0, seed=1).eval(), build(preset, 60, 0, seed=1).eval()
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter)
    torch.nn.init.zeros_(trained.bias)
    codes = codes_of(40, 60)
    layers = [codes, codes.copy()] + [codes_of(40, 60) + 20] * (preset == "ends-quality")
    inputs = torch.from_numpy(np.stack(layers, 1))
    with torch.inference_mode():
        torch.testing.assert_close(trained(inputs), fresh(inputs), atol=1e-3, rtol=1e-3)
        damaged = inputs.clone()
        damaged[:, 0][damaged[:, 1] == 1] = 3
        assert (trained(damaged) - fresh(damaged)).abs().mean() > 1


def test_bilstm_starts_as_keras_does():
    network = build("bilstm", 30, 4, seed=1)
    weights = network.embedding.weight.detach()
    assert 0.045 < weights.abs().max() <= 0.05
    assert not weights[-1].any()
    for side in ("", "_reverse"):
        bias = getattr(network.lstm, f"bias_ih_l0{side}").detach()
        np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], 10))
        assert not getattr(network.lstm, f"bias_hh_l0{side}").requires_grad
        recurrent = getattr(network.lstm, f"weight_hh_l0{side}").detach()
        np.testing.assert_allclose(recurrent.T @ recurrent, np.eye(10), atol=1e-5)


def test_bilstm_equals_its_definition():
    """The gates written out, as in Hochreiter and Schmidhuber with a forget gate, one window at a time."""
    network = build("bilstm", 12, 2, seed=3).eval()
    codes = codes_of(3, 12)
    codes[1, 5] = 4
    state = {name: tensor.numpy().astype(float) for name, tensor in network.state_dict().items()}

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    for row, got in zip(codes, network(torch.from_numpy(codes)).detach().numpy(), strict=True):
        words = [16 if 4 in row[i : i + 2] else 4 * int(row[i]) + int(row[i + 1]) for i in range(11)]
        ends = []
        for side, order in (("", words), ("_reverse", words[::-1])):
            hidden, cell = np.zeros(10), np.zeros(10)
            for word in order:
                gates = (
                    state[f"lstm.weight_ih_l0{side}"] @ state["embedding.weight"][word]
                    + state[f"lstm.weight_hh_l0{side}"] @ hidden + state[f"lstm.bias_ih_l0{side}"]
                )
                i, f, g, o = np.split(gates, 4)
                cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
                hidden = sigmoid(o) * np.tanh(cell)
            ends.append(hidden)
        dense = np.maximum(state["dense.weight"] @ np.concatenate(ends) + state["dense.bias"], 0)
        assert got == pytest.approx((state["output.weight"] @ dense + state["output.bias"])[0], abs=1e-5)


def test_cnn_equals_plain_convolutions_and_softmax():
    network = build("cnn-shallow", 21, 0, seed=3).eval()
    codes = codes_of(4, 21)
    codes[0, 15:] = 4
    x = torch.from_numpy(one_hot(codes))
    for layer in (network.first, network.second):
        x = torch.relu(torch.nn.functional.conv1d(x, layer.weight[:, :, 0], layer.bias, padding=2))
    pooled = torch.nn.functional.max_pool1d(x, 2).flatten(1)
    expected = torch.softmax(network.output(torch.relu(network.dense(pooled))), dim=1)[:, 1]
    torch.testing.assert_close(torch.sigmoid(network(torch.from_numpy(codes))), expected)


@pytest.mark.parametrize(("preset", "rate", "steps"), [("bilstm", 0.01, 150), ("cnn-shallow", 0.01, 200)])
def test_networks_can_learn_eight_windows_by_heart(preset, rate, steps):
    codes, labels = torch.from_numpy(codes_of(8, 40)), torch.tensor([0.0, 1] * 4)
    network = build(preset, 40, 5, seed=1)
    optimiser = make_optimiser(preset, network, rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(codes), labels)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05


def test_sparse_rmsprop_equals_the_dense_one():
    """Rows that a batch repeats, rows it leaves out for many steps, and rows that never come."""
    rng = np.random.default_rng(0)
    networks = [build("bilstm", 12, 3, seed=1) for _ in range(2)]
    networks[0].embedding.sparse = False
    dense, sparse = (
        [parameter for parameter in network.parameters() if parameter.requires_grad] for network in networks
    )
    optimisers = [torch.optim.RMSprop(dense, lr=0.01, alpha=0.9, eps=1e-7), RowRMSprop(sparse, lr=0.01)]
    start = networks[0].embedding.weight.detach().clone()
    for step in range(40):
        codes = torch.from_numpy(rng.integers(0, 2 if step % 10 else 3, (4, 12), dtype=np.uint8))
        labels = torch.from_numpy(rng.integers(0, 2, 4)).float()
        for network, optimiser in zip(networks, optimisers, strict=True):
            optimiser.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(network(codes), labels).backward()
            optimiser.step()
    for one, other in zip(dense, sparse, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    moved = (networks[1].embedding.weight.detach() != start).any(dim=1)
    assert 0 < moved.sum() < 64
    assert not moved[-1]


def test_seed_decides_the_start_and_leaves_torch_alone():
    state = torch.get_rng_state()
    first, again, other = (build("bilstm", 30, 3, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.embedding.weight, again.embedding.weight)
    assert not torch.equal(first.embedding.weight, other.embedding.weight)


def test_logistic_finds_the_planted_kmer_and_equals_sklearn():
    codes = codes_of(2000, 50)
    labels = np.random.default_rng(1).integers(0, 2, 2000)
    codes[labels == 1, 20:25] = [0, 1, 2, 3, 0]
    codes[::7, 48:] = 4
    model = fit_kmer_logistic(codes, labels)
    planted = int("01230", 4)
    assert model.weights.argmax() == planted
    assert model.k == 5
    log_odds = kmer_counts(codes) @ model.weights.astype(float) + model.intercept
    np.testing.assert_allclose(model.probabilities(codes), 1 / (1 + np.exp(-log_odds)), atol=1e-5)


def test_impossible_models_are_refused_in_words():
    with pytest.raises(SettingsError, match="k-mers of 10 bases do not fit into examples of 8 bases"):
        check_fit("bilstm", 8, 10)
    with pytest.raises(SettingsError, match="k = 0"):
        check_fit("bilstm", 200, 0)


@pytest.mark.parametrize("preset", ["bilstm", "cnn-shallow"])
def test_stored_network_predicts_the_same(preset, tmp_path):
    network = build(preset, 30, 3, seed=5)
    codes = codes_of(1500, 30)
    network.train()
    expected = network_probabilities(network, codes)
    assert network.training
    save_model(tmp_path, card(preset), network)
    predictor = load_model(tmp_path, device="cpu")
    seen = []
    np.testing.assert_array_equal(predictor.probabilities(codes, seen.append), expected)
    assert sum(seen) == 1500
    assert predictor.card == card(preset)
    assert predictor.probabilities(codes[:0]).shape == (0,)
    np.testing.assert_allclose(network_probabilities(network, codes, np.array([7, 3])), expected[[7, 3]], atol=1e-6)
    with pytest.raises(InputError, match="takes sequences of 30 bases"):
        predictor.probabilities(codes[:, :20])


def test_stored_logistic_predicts_the_same(tmp_path):
    model = KmerLogistic(np.random.default_rng(0).normal(size=64).astype(np.float32), np.zeros(1, np.float32))
    save_model(tmp_path, card("logistic"), model)
    codes = codes_of(100, 30)
    np.testing.assert_array_equal(load_model(tmp_path).probabilities(codes), model.probabilities(codes))


def test_unsound_model_files_are_refused(tmp_path):
    save_model(tmp_path, card(), build("bilstm", 30, 3, seed=1))
    path = tmp_path / "model.safetensors"
    sound = load_file(path)

    def refused(arrays, words):
        save_file(arrays, path)
        with pytest.raises(InputError, match=words):
            load_stored(tmp_path)

    broken = sound["dense.bias"].copy()
    broken[2] = np.nan
    refused({**sound, "dense.bias": broken}, "1 values that are no finite numbers")
    refused({**sound, "dense.bias": sound["dense.bias"][:5].copy()}, r"dense.bias should be float32 of shape \(10,\)")
    refused({**sound, "dense.bias": sound["dense.bias"].astype(np.float64)}, "float64")
    refused({name: array for name, array in sound.items() if name != "dense.bias"}, "other arrays")
    refused({**sound, "extra": broken}, "extra")
    torch.save({name: torch.from_numpy(array) for name, array in sound.items()}, path)
    with pytest.raises(InputError, match="not a safetensors file"):
        load_stored(tmp_path)


def test_unsound_cards_are_refused(tmp_path):
    save_model(tmp_path, card(), build("bilstm", 30, 3, seed=1))
    path = tmp_path / "model.json"
    sound = json.loads(path.read_text())
    for change, words in (({"k": 99}, "k = 99"), ({"preset": "os.system"}, "preset"), ({"k": 4}, "embedding.weight")):
        path.write_text(json.dumps(sound | change))
        with pytest.raises(InputError, match=words):
            load_stored(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="no such model card"):
        load_stored(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_asking_for_a_missing_gpu_is_refused():
    with pytest.raises(SettingsError, match="no GPU"):
        resolve_device("cuda")
    assert resolve_device("auto").type == "cpu"

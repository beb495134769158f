"""GPUs that are too small, or vanish, or work in half precision: what a run does, and that it says so.

There is mostly no GPU here. What is put in its place is the one step that fails, a network's forward pass, which
raises torch's own error; everything that answers it is the real part.
"""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from neandl_core import prediction
from neandl_core.__main__ import main
from neandl_core.config import TrainSettings
from neandl_core.errors import OutputError
from neandl_core.fitting import predict_rows
from neandl_core.prediction import BATCH, load_model, network_probabilities
from neandl_core.training import Trained, train_network
from tests.test_training import make_dataset


@contextmanager
def failing(when):
    """Let `when(network, examples)` raise at the start of every forward pass of a CNN."""
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: when(module, len(inputs[0])) if type(module).__name__ == "ShallowCNN" else None
    )
    try:
        yield
    finally:
        handle.remove()


def gone(*_: object) -> None:
    raise torch.AcceleratorError("CUDA error: unspecified launch failure", 719)


def once(times: int, which) -> object:
    """Fail as a vanished GPU does at the so-manyth forward pass that `which` picks, and never again."""
    seen = 0

    def look(module, examples):
        nonlocal seen
        seen += which(module)
        if seen == times and which(module):
            seen += 1
            gone()

    return look


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("devices") / "data", kind="reads", k=0, n=800)


@pytest.fixture(scope="module")
def stored(dataset, tmp_path_factory):
    """A finished run of a small CNN."""
    run = tmp_path_factory.mktemp("devices") / "run"
    words = ["--preset", "cnn-shallow", "--epochs", "1", "--no-controls", "--threads", "1", "--quiet"]
    assert main(["train", str(dataset.folder), *words, "--out", str(run)]) == 0
    return run


def trained(dataset, checkpoint, preset="cnn-shallow", **values) -> Trained:
    settings = TrainSettings.preset_of(preset, **{"epochs": 2, "batch_size": 64, **values})
    return train_network(
        dataset, dataset.part("train"), dataset.part("validation"), settings, torch.device(values.get("device", "cpu")),
        labels=dataset.labels, name="main", record=lambda **values: None, advance=lambda *values: None,
        prediction_cost=0.1, checkpoint=checkpoint,
    )


def numbers(result: Trained) -> list[tuple[float, float]]:
    return [(epoch["train_loss"], epoch["val_loss"]) for epoch in result.epochs]


def test_prediction_halves_its_blocks_once_and_says_so(dataset, stored):
    codes = np.tile(dataset.codes, (2, 1))
    whole = load_model(stored, "cpu", 1)
    expected = whole.probabilities(codes)
    assert whole.notes == []

    def holds(largest: int):
        def look(_, examples):
            if examples > largest:
                raise torch.OutOfMemoryError(f"Tried to allocate for {examples} examples")
        return look

    told: list[int] = []
    small = load_model(stored, "cpu", 1)
    with failing(holds(BATCH // 2)):
        found = small.probabilities(codes, told.append)
    assert np.abs(found - expected).max() < 1e-6
    assert sum(told) == len(codes)
    assert max(told) == BATCH // 2
    assert len(small.notes) == 1
    assert f"Predicted {BATCH // 2:,} examples at a time" in small.notes[0]
    with failing(holds(BATCH // 4)), pytest.raises(OutputError, match=f"does not hold {BATCH // 2} examples"):
        load_model(stored, "cpu", 1).probabilities(codes)


def test_prediction_goes_on_with_the_processor_when_the_gpu_is_gone(dataset, stored):
    codes = np.tile(dataset.codes, (2, 1))
    expected = load_model(stored, "cpu", 1).probabilities(codes)
    model = load_model(stored, "cpu", 1)
    told: list[int] = []
    with failing(once(2, lambda module: True)):
        assert (model.probabilities(codes, told.append) == expected).all()
    assert sum(told) == len(codes), "progress counts every example once"
    assert model.notes == ["The GPU failed while predicting; went on with the processor."]


@pytest.mark.parametrize("training", [True, False], ids=["in a step", "while validating"])
def test_a_training_whose_gpu_vanishes_ends_with_the_numbers_of_one_that_kept_it(dataset, tmp_path, training):
    undisturbed = trained(dataset, tmp_path / "whole.pt")
    # In the second epoch: the first is in the checkpoint and not done again.
    steps = -(-2 * len(dataset.part("train")) // 64)
    times = steps + 3 if training else 2
    with failing(once(times, lambda module: module.training == training)):
        result = trained(dataset, tmp_path / "checkpoint.pt")
    assert any("The GPU failed during epoch 2 (main training); went on with the processor" in note
               for note in result.notes)
    assert numbers(result) == numbers(undisturbed)


def test_a_gpu_that_fails_in_the_test_is_a_sentence_that_names_the_way_on(dataset, tmp_path):
    result = trained(dataset, None, epochs=1)
    settings = TrainSettings.preset_of("cnn-shallow")
    with failing(gone), pytest.raises(OutputError, match="resume the run"):
        predict_rows(result.network, dataset, settings, dataset.part("test"))


def test_bf16_is_left_off_where_it_does_not_help(dataset, tmp_path):
    plain, asked = trained(dataset, None), trained(dataset, None, bf16=True)
    assert numbers(plain) == numbers(asked)
    assert plain.notes == []
    assert ["single precision" in note for note in asked.notes] == [True]


@pytest.mark.parametrize("preset", ["cnn-shallow", "cnn-deep", "ends"])
def test_bf16_trains_the_cnns_and_changes_little(dataset, monkeypatch, preset):
    """As on a GPU, on a processor that emulates it: the layers work in bfloat16, the loss in single precision."""
    single = trained(dataset, None, preset, epochs=1)
    monkeypatch.setattr(prediction, "BF16_DEVICES", ("cpu",))
    half = trained(dataset, None, preset, epochs=1, bf16=True)
    assert not any("single precision" in note for note in half.notes)
    loss, other = single.epochs[0]["train_loss"], half.epochs[0]["train_loss"]
    assert loss != other
    assert other == pytest.approx(loss, abs=0.05)
    rows = dataset.part("test")
    exact = network_probabilities(single.network, dataset.codes, rows)
    rough = network_probabilities(single.network, dataset.codes, rows, bf16=True)
    assert 0 < np.abs(exact - rough).max() < 0.05


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_in_bf16_and_one_without_memory(dataset, tmp_path, stored):
    result = trained(dataset, None, "cnn-deep", device="cuda", bf16=True)
    assert not any("single precision" in note for note in result.notes)
    many = np.random.default_rng(1).integers(0, 4, (40_000, dataset.description.width), dtype=np.uint8)
    expected = load_model(stored, "cpu", 1).probabilities(many)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    assert np.abs(load_model(stored, "cuda", 1).probabilities(many) - expected).max() < 1e-3
    peak = torch.cuda.max_memory_reserved()
    small = load_model(stored, "cuda", 1)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.7 * peak / torch.cuda.mem_get_info()[1])
    try:
        assert np.abs(small.probabilities(many) - expected).max() < 1e-3
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "did not hold" in " ".join(small.notes)

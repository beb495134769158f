"""Windows at two bits a base, and batches of them on a device."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from neandl_core import training
from neandl_core.dataset import Dataset, Description, Stack, load_dataset, save_dataset
from neandl_core.encoding import filled_lengths, kmer_codes, reverse_complement
from neandl_core.errors import InputError
from neandl_core.models import feeding
from neandl_core.models.feeding import Feed, other_strand, unpack
from neandl_core.packed_bases import PackedBases, pack, packed_width

CPU = torch.device("cpu")


def drawn(rows, width, most=4):
    return np.random.default_rng(width).integers(0, most, (rows, width), dtype=np.uint8)


@pytest.mark.parametrize("width", [1, 3, 4, 5, 8, 199, 200, 201, 202])
def test_packed_bases_are_read_as_the_codes_they_were(width):
    codes = drawn(50, width)
    bases = PackedBases(pack(codes), width)
    assert bases.packed.nbytes == 50 * packed_width(width) == 50 * -(-width // 4)
    assert bases.shape == codes.shape
    assert len(bases) == 50
    rows = np.array([3, 3, 49, 0])
    for key in (rows, slice(5, 9), slice(None), codes[:, 0] > 1, 7, (slice(2, 4), slice(0, width // 2)), rows[:0]):
        found = bases[key]
        np.testing.assert_array_equal(found, codes[key])
        assert found.flags.c_contiguous
        assert found.flags.writeable
    np.testing.assert_array_equal(np.asarray(bases), codes)
    np.testing.assert_array_equal(bases.chosen(rows)[:], codes[rows])
    np.testing.assert_array_equal(unpack(torch.from_numpy(bases.packed), width).numpy(), codes)


def test_the_first_base_is_in_the_highest_bits():
    assert pack(np.array([[3, 2, 1, 0, 1]], np.uint8)).tolist() == [[0b11100100, 0b01000000]]


def test_what_two_bits_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="cannot be packed"):
        pack(np.array([[0, 4]], np.uint8))
    with pytest.raises(ValueError, match="packed bases a row"):
        PackedBases(np.zeros((3, 2), np.uint8), 9)


def saved(folder, codes, kind="windows"):
    n = len(codes)
    examples = pd.DataFrame({
        "label": np.arange(n) % 2, "split": np.where(np.arange(n) < n // 2, "train", "test"),
        "comparison_split": "train", "locus": np.arange(n), "contig": "1", "start": np.arange(n), "gc": 0.0,
    })
    folder.mkdir()
    description = Description(kind, codes.shape[1], 4, ("depleted", "introgressed"), "chromosome", "random")
    save_dataset(folder, iter([codes[:7], codes[7:]]), examples, description)
    return load_dataset(folder)


def test_windows_take_a_quarter_of_a_byte_a_base_and_older_folders_are_read(tmp_path):
    codes = drawn(40, 201)
    dataset = saved(tmp_path / "windows", codes)
    assert (tmp_path / "windows" / "bases.npy").stat().st_size == 40 * 51 + 128
    np.testing.assert_array_equal(dataset.codes[:], codes)
    np.testing.assert_array_equal(kmer_codes(dataset.codes[:], 10), kmer_codes(codes, 10))
    (tmp_path / "windows" / "bases.npy").unlink()
    with pytest.raises(InputError, match=r"no bases.npy or codes.npy"):
        load_dataset(tmp_path / "windows")
    np.save(tmp_path / "windows" / "codes.npy", codes)
    older = load_dataset(tmp_path / "windows")
    np.testing.assert_array_equal(older.codes, codes)
    np.save(tmp_path / "windows" / "bases.npy", pack(codes[:, :100]))
    with pytest.raises(InputError, match=r"packed bases of shape \(40, 25\) for 40 examples of 201 bases"):
        load_dataset(tmp_path / "windows")


def test_reads_keep_their_unknown_bases(tmp_path):
    codes = drawn(20, 9, most=5)
    dataset = saved(tmp_path / "reads", codes, "reads")
    np.testing.assert_array_equal(dataset.codes, codes)
    assert not (tmp_path / "reads" / "bases.npy").exists()


def padded(rows=30, width=21):
    codes = drawn(rows, width, most=5)
    for row, length in enumerate(np.random.default_rng(1).integers(0, width + 1, rows)):
        codes[row, length:] = 4
    return codes


def test_the_other_strand_is_that_of_the_encoding():
    codes = padded()
    np.testing.assert_array_equal(
        other_strand(torch.from_numpy(codes)).numpy(), reverse_complement(codes, filled_lengths(codes))
    )


@pytest.mark.parametrize("kind", ["packed", "padded", "layers"])
@pytest.mark.parametrize("both", [False, True])
def test_batches_of_a_device_that_keeps_all_are_those_cut_from_the_file(monkeypatch, kind, both):
    codes = drawn(30, 21) if kind == "packed" else padded()
    packed, layers = lambda: PackedBases(pack(codes), 21), lambda: Stack([codes, codes])
    made = {"packed": packed, "padded": lambda: codes, "layers": layers}
    inputs = made[kind]()
    labels = np.arange(30, dtype=np.float32)
    rows = np.array([4, 29, 0, 4])
    turned = np.array([True, False, True, False]) if both and kind != "layers" else None
    expected = Feed(inputs, labels, CPU)
    monkeypatch.setattr(feeding, "RESIDENT_DEVICES", ("cpu",))
    kept = Feed(inputs, labels, CPU)
    assert (expected.resident, kept.resident) == (False, True)
    for one, other in zip(expected.batch(rows, turned), kept.batch(rows, turned), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_device_without_room_for_all_is_sent_batches(monkeypatch):
    def full(inputs):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(feeding, "RESIDENT_DEVICES", ("cpu",))
    monkeypatch.setattr(feeding, "_whole", full)
    codes = drawn(6, 9)
    feed = Feed(PackedBases(pack(codes), 9), np.zeros(6, np.float32), CPU)
    assert not feed.resident
    np.testing.assert_array_equal(feed.batch(np.array([5, 1]))[0].numpy(), codes[[5, 1]])


@pytest.mark.parametrize("preset", ["cnn-windows", "bilstm"])
def test_a_training_from_a_device_that_keeps_all_gives_the_same_model(monkeypatch, tmp_path, preset):
    from neandl_core.config import TrainSettings

    dataset = saved(tmp_path / "windows", drawn(120, 60))
    settings = TrainSettings.preset_of(preset, epochs=2, batch_size=16, threads=1)
    rows = np.arange(100)

    def trained() -> tuple[dict, list]:
        done = training.train_network(
            dataset, rows, np.arange(100, 120), settings, CPU, labels=dataset.labels, name="main",
            record=lambda **values: None, advance=lambda count, message: None, prediction_cost=0.3, checkpoint=None,
        )
        return done.network.state_dict(), [epoch["train_loss"] for epoch in done.epochs]

    weights, losses = trained()
    monkeypatch.setattr(feeding, "RESIDENT_DEVICES", ("cpu",))
    again, same = trained()
    assert losses == same
    for name, values in weights.items():
        np.testing.assert_array_equal(values.numpy(), again[name].numpy())


def test_a_loss_that_is_no_number_is_named_by_its_step(monkeypatch, tmp_path):
    """Also where several steps are looked at together."""
    sums = training._Sums()
    for step, loss in enumerate([0.5, float("nan"), 0.25]):
        sums.keep(step, torch.tensor(loss), torch.tensor(3), 4)
    assert sums.settle() == 1
    sums = training._Sums()
    for step in range(3):
        sums.keep(step, torch.tensor(0.5), torch.tensor(3), 4)
    assert sums.settle() is None
    assert (sums.loss, sums.right, sums.recent, sums.waiting) == (6.0, 9, 12, [])


def test_a_dataset_is_what_it_says(tmp_path):
    dataset = saved(tmp_path / "windows", drawn(12, 30))
    assert isinstance(dataset, Dataset)
    assert isinstance(dataset.codes, PackedBases)
    assert isinstance(dataset.inputs(()), PackedBases)

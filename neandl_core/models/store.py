"""Models on disk: `model.safetensors` (numbers only) and `model.json` (what they are). Loading runs no code from them.

A file is believed only after its names, shapes and values were checked against the model that its card describes.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from neandl_core.config import Preset, Settings, as_sentence
from neandl_core.errors import InputError, OutputError, SettingsError, shorten
from neandl_core.files import require_file, write_json
from neandl_core.models import check_fit
from neandl_core.models.logistic import KmerLogistic

if TYPE_CHECKING:
    from torch import nn

    Model = KmerLogistic | nn.Module

WEIGHTS, CARD = "model.safetensors", "model.json"
_LARGEST_HEADER = 1 << 20


class ModelCard(Settings):
    """What a stored model is: enough to build it, feed it and read its answer."""

    title = "model card"

    format: Literal[1] = 1
    preset: Preset
    width: int = Field(ge=1, le=100_000, description="bases per example")
    k: int = Field(ge=0, le=12, description="k-mer length; 0 if the model reads bases")
    classes: tuple[str, str] = Field(description="names of label 0 and label 1")
    dataset_kind: Literal["windows", "reads"]
    simulated: bool = False
    threshold: float = Field(0.5, gt=0, lt=1, description="from which probability label 1 is called")
    parameters: int = Field(ge=1)
    split: str = Field(description="how the examples were divided")
    settings: dict[str, Any] = Field(description="the training settings")
    engine: str = Field("", description="what ran it in training; another may run it later, up to rounding")
    optimiser: str = Field(description="formula and constants, as these decide whether the network learns")


def arrays_of(model: Model) -> dict[str, np.ndarray]:
    """Return a model's numbers by name."""
    if isinstance(model, KmerLogistic):
        return {"weights": model.weights, "intercept": model.intercept}
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in model.state_dict().items()}


def save_model(folder: Path, card: ModelCard, model: Model) -> None:
    """Write a model into an existing folder.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(arrays_of(model), folder / WEIGHTS)
        # safetensors makes files that only their owner can read; the rest of a run folder can be read by all.
        (folder / WEIGHTS).chmod(0o644)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"The model cannot be written to {folder}: {error}.") from None
    write_json(folder / CARD, card.model_dump())


def read_card(folder: str | Path) -> ModelCard:
    """Read what a stored model is, without its weights.

    Raises
    ------
    InputError
        If there is no card or it makes no sense.
    """
    path = require_file(Path(folder) / CARD, "model card")
    try:
        return ModelCard.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"this is no model card ({as_sentence(error, 'model card').rstrip('.')})", path=path) from None


def load_stored(folder: str | Path) -> tuple[ModelCard, Model]:
    """Load a model that `save_model` wrote; a network comes in evaluation mode, on the CPU.

    Raises
    ------
    InputError
        If files are missing, are something else, or hold other names, shapes or values than the model needs.
    """
    card = read_card(folder)
    path = require_file(Path(folder) / WEIGHTS, "model file")
    arrays = _read_arrays(path)
    try:
        check_fit(card.preset, card.width, card.k)
    except SettingsError as error:
        raise InputError(f"its model card describes an impossible model ({error})", path=path) from None
    if card.preset == "logistic":
        _check(arrays, {"weights": (4**card.k,), "intercept": (1,)}, path)
        return card, KmerLogistic(arrays["weights"], arrays["intercept"])
    import torch

    from neandl_core.models.networks import build

    network = build(card.preset, card.width, card.k, seed=0)
    _check(arrays, {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}, path)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return card, network.eval()


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    _refuse_repeated_names(path)
    try:
        arrays = load_file(path)
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"this is not a safetensors file of numbers ({error})", path=path,
            advice="Train the model again, or copy its folder again.",
        ) from None
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            raise InputError(f"array {shorten(name)!r} holds {count:,} values that are no finite numbers", path=path)
    return arrays


def _refuse_repeated_names(path: Path) -> None:
    """Refuse a file that names an array twice, of which safetensors takes the last without a word."""
    with path.open("rb") as handle:
        size = int.from_bytes(handle.read(8), "little")
        header = handle.read(min(size, _LARGEST_HEADER))

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise InputError("this model file names an array twice", path=path)
        return dict(pairs)

    # What is no JSON at all, safetensors itself refuses and names.
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(header, object_pairs_hook=once)


def _check(arrays: dict[str, np.ndarray], shapes: dict[str, tuple[int, ...]], path: Path) -> None:
    if arrays.keys() != shapes.keys():
        odd = sorted(arrays.keys() ^ shapes.keys())
        raise InputError(f"other arrays than the model card describes, first {shorten(odd[0])!r}", path=path)
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise InputError(
                f"array {name} should be float32 of shape {shape}, and is {array.dtype} of shape {array.shape}",
                path=path,
            )

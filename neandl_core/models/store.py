"""Models on disk: numbers, and `model.json` which says what they are. Loading runs no code from them.

Networks, `logistic` and `word2vec` keep their numbers in `model.safetensors`, forests in `model.skops`. A file is
believed only after what it holds was checked against the model that its card describes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from neandl_core.config import Preset, Settings, TrainSettings, as_sentence
from neandl_core.errors import InputError, SettingsError
from neandl_core.files import require_file, write_json
from neandl_core.models import SOLVED, check_fit
from neandl_core.models.arrays import WEIGHTS, check_arrays, read_arrays, write_arrays
from neandl_core.models.fits import load_solved
from neandl_core.models.solved import SolvedModel

if TYPE_CHECKING:
    from torch import nn

    Model = SolvedModel | nn.Module

CARD = "model.json"
_SIZES = ("hidden", "filters", "l1")
"""Settings that a network is built from."""


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


def sizes_of(settings: TrainSettings) -> dict[str, float]:
    """Return the settings that the network of a preset is built from, by name."""
    return {name: getattr(settings, name) for name in _SIZES if getattr(settings, name) is not None}


def save_model(folder: Path, card: ModelCard, model: Model) -> None:
    """Write a model into an existing folder.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    if isinstance(model, SolvedModel):
        model.save(folder)
    else:
        tensors = model.state_dict().items()
        write_arrays(
            folder / WEIGHTS, {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors}
        )
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
    folder = Path(folder)
    try:
        check_fit(card.preset, card.width, card.k)
        known = {name: value for name, value in card.settings.items() if name in _SIZES}
        sizes = sizes_of(TrainSettings.preset_of(card.preset, **known))
    except SettingsError as error:
        raise InputError(f"its model card describes an impossible model ({error})", path=folder / CARD) from None
    if card.preset in SOLVED:
        return card, load_solved(card.preset, folder, card.k)
    arrays = read_arrays(folder / WEIGHTS)
    import torch

    from neandl_core.models.networks import build

    network = build(card.preset, card.width, card.k, seed=0, sizes=sizes)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    check_arrays(arrays, shapes, folder / WEIGHTS)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return card, network.eval()

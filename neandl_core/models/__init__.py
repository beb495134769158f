"""The models, one module each. Importing this package loads no torch; `networks.build` does.

A network takes (n, width) uint8 codes of bases and returns (n,) logits of P(label = 1); k-mers and one-hot arrays are
made inside it, on its device.
"""

from __future__ import annotations

from neandl_core.errors import SettingsError

BILSTM_HIDDEN = 10
CNN_FILTERS, CNN_KERNEL, CNN_DENSE = 32, 5, 16
ENDS_BASES, ENDS_STATE, ENDS_FILTERS, ENDS_DENSE = 24, 8, 16, 32
DEEP_FILTERS, DEEP_DENSE = (32, 64, 128), 128
LOGISTIC_K = 5
WINDOW_FILTERS, WINDOW_DENSE, WINDOW_KERNELS = 64, 32, (15, 5)
BAG_HIDDEN = 3000
NETWORKS = (
    "bilstm", "cnn-shallow", "cnn-deep", "cnn-windows", "bag-of-kmers-mlp", "ends", "ends-reference", "ends-quality",
)
"""Presets that are trained by gradient steps."""
SOLVED = ("logistic", "bag-of-kmers-forest", "boosting", "word2vec")
"""Presets that are fitted outright, by `solved.fit_solved`."""
COUNTING = ("logistic", "bag-of-kmers-forest", "boosting", "bag-of-kmers-mlp")
"""Presets that count all 4**k k-mers of an example."""
LONGEST_COUNTED = 6
"""Largest k of which all k-mers are counted: 4,096 counts an example."""
WORDS = (*COUNTING, "bilstm", "word2vec")
"""Presets that read k-mers; the others read bases."""


LAYERS_SEEN: dict[str, tuple[str, ...]] = {
    "ends-reference": ("reference",), "ends-quality": ("reference", "quality"),
}
"""Arrays beside the bases (`dataset.LAYERS`) that a preset reads; the others read bases alone."""
ENDS = ("ends", "ends-reference", "ends-quality")
_SHORTEST = {"cnn-shallow": 2, "cnn-deep": 8, "cnn-windows": 16, **dict.fromkeys(ENDS, ENDS_BASES)}
"""Fewest bases that each network on bases can take: those that its poolings leave something of."""


def check_fit(preset: str, width: int, k: int) -> None:
    """Make sure that a model can be built for examples of this width.

    Raises
    ------
    SettingsError
        If the k-mer is longer than the example, or the example too short for the network.
    """
    if preset in _SHORTEST:
        if width < _SHORTEST[preset]:
            raise SettingsError(
                f"train: {preset} needs examples of at least {_SHORTEST[preset]} bases, these have {width}."
            )
        return
    if preset in COUNTING and k > LONGEST_COUNTED:
        raise SettingsError(
            f"train: {preset} counts all k-mers of 1 to {LONGEST_COUNTED} bases, and k = {k} has {4**k:,} of them."
        )
    if not 1 <= k <= 12:
        raise SettingsError(f"train: {preset} needs k-mers of 1 to 12 bases, and this dataset has k = {k}.")
    if k > width:
        raise SettingsError(f"train: k-mers of {k} bases do not fit into examples of {width} bases.")


def parameter_count(
    preset: str, *, width: int = 0, vocabulary: int = 0, hidden: int | None = None, filters: int | None = None
) -> int:
    """Return how many numbers a network learns; models that are solved outright know it themselves.

    Parameters
    ----------
    preset
        One of `NETWORKS`.
    width
        Bases per example; only the count of the published CNNs depends on it.
    vocabulary
        Number of k-mers, 4**k for all of them. The published BiLSTM had 964,114, hence 9,643,041 parameters.
    hidden, filters
        As in the settings; the preset's own if None.
    """
    if preset == "bilstm":
        size = hidden or BILSTM_HIDDEN
        lstm = 2 * 4 * (size * (size + size) + size)
        return vocabulary * size + lstm + (2 * size + 1) * size + size + 1
    if preset == "cnn-shallow":
        convolutions = (4 * CNN_KERNEL + 1) * CNN_FILTERS + (CNN_FILTERS * CNN_KERNEL + 1) * CNN_FILTERS
        return convolutions + (width // 2 * CNN_FILTERS + 1) * CNN_DENSE + (CNN_DENSE + 1) * 2
    if preset == "cnn-deep":
        count, channels = 0, 4
        for filters in DEEP_FILTERS:
            # Weights and biases of two convolutions, and a scale and a shift for each normalised channel.
            count += (channels * CNN_KERNEL + 1) * filters + (filters * CNN_KERNEL + 1) * filters + 4 * filters
            channels = filters
        return count + (width // 8 * channels + 1) * DEEP_DENSE + 2 * DEEP_DENSE + (DEEP_DENSE + 1) * 2
    if preset in ENDS:
        layers = 1 + len(LAYERS_SEEN.get(preset, ()))
        states = 5 if layers == 1 else 7
        tower = ((ENDS_STATE + (layers == 3)) * CNN_KERNEL + 1) * ENDS_FILTERS
        dense = (2 * ENDS_FILTERS * ENDS_BASES + 1) * ENDS_DENSE + ENDS_DENSE
        return 2 * (ENDS_BASES + 1) * states + 1 + (states + 1) * ENDS_STATE + 2 * tower + dense
    if preset == "cnn-windows":
        wide, narrow = WINDOW_KERNELS
        size, dense = filters or WINDOW_FILTERS, hidden or WINDOW_DENSE
        convolutions = (4 * wide + 1) * size + (narrow * size + 1) * size + 4 * size
        return convolutions + (2 * size + 1) * dense + dense + 1
    if preset == "bag-of-kmers-mlp":
        return (vocabulary + 1) * (hidden or BAG_HIDDEN) + (hidden or BAG_HIDDEN) + 1
    raise ValueError(f"no network {preset!r}")

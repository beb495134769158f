"""Settings: frozen, checked when made, saved with every result. No heavy imports.

Each command has one settings class. `as_sentence` turns a refused value into the one sentence that users see, so a
page, the command line and a run folder refuse the same things in the same words.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from neandl_core.errors import SettingsError

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Split = Literal["chromosome", "locus", "interval", "random"]
Definition = Literal["alignment-column", "read-base"]
Device = Literal["auto", "cpu", "cuda"]
Preset = Literal["bilstm", "logistic", "cnn-shallow", "cnn-deep", "ends", "ends-reference", "ends-quality"]

LEAKY: tuple[Split, ...] = ("interval", "random")
"""Splits under which test windows share bases with training windows if intervals overlap."""
POSITIONS = 70
"""Positions counted from each end of a read, as in mapDamage."""
SHOWN_POSITIONS = 25
"""Positions shown and reported, as in DamageProfiler."""
FEW_READS = 500
"""Below this many usable reads a damage curve should not be trusted (nf-core/eager's advice)."""


class Settings(BaseModel):
    """Base of all settings: frozen, no unknown names, no NaN or infinity, no text where a number belongs."""

    # Built when first used: a command needs one of these classes, and building all would be a tenth of its start.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    title: ClassVar[str] = "settings"

    @classmethod
    def make(cls, **values: Any) -> Self:
        """Make the settings.

        Raises
        ------
        SettingsError
            If a value is impossible; the message names the setting, what is allowed and what came.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError(as_sentence(error, cls.title)) from None


def as_sentence(error: ValidationError, title: str) -> str:
    """Say in one sentence what is wrong with the first refused setting."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if not name:
        return f"{title}: {message}."
    return f"{title}: {name.replace('_', '-')} = {first['input']!r} is refused: {message[0].lower()}{message[1:]}."


class ReadSettings(Settings):
    """How reads are chosen and how their misincorporations are counted."""

    title = "reads"

    definition: Definition = "alignment-column"
    skip_unmapped: bool = True
    skip_secondary: bool = True
    skip_supplementary: bool = True
    skip_duplicates: bool = True
    skip_qc_fail: bool = True
    min_mapping_quality: int = Field(0, ge=0, le=254)
    min_length: int = Field(0, ge=0)
    subsample: int | None = Field(None, ge=1, description="records to draw over the whole file; all if none")
    seed: Seed = 1
    pmd_library: Literal["double-stranded", "single-stranded"] = "double-stranded"
    pmd_udg: Literal["none", "half", "CpG"] = "none"
    pmd_threshold: float | None = Field(None, ge=-1000, le=1000)
    threads: int = Field(2, ge=1, le=64)

    @classmethod
    def for_definition(cls, definition: Definition, **values: Any) -> Self:
        """Return the settings of the tools that use a definition.

        ``alignment-column`` takes mapDamage's filters (flags 0xF04 skipped). ``read-base`` takes DamageProfiler's
        and PMDtools': only unmapped reads are skipped; duplicates, QC-fails and secondary alignments count.
        """
        if definition == "read-base":
            counted = dict.fromkeys(
                ("skip_secondary", "skip_supplementary", "skip_duplicates", "skip_qc_fail"), False
            )
            values = counted | values
        return cls.make(definition=definition, **values)


class WindowSettings(Settings):
    """How windows are cut from a genome, labelled and split."""

    title = "windows"

    window: int = Field(200, ge=10, le=100_000, description="length of a window in bases")
    step: int | None = Field(None, ge=1, description="distance between window starts; the window's length if none")
    k: int = Field(10, ge=1, le=12, description="k-mer length")
    split: Split = "chromosome"
    test_chromosomes: tuple[str, ...] = ()
    test_share: float = Field(0.2, gt=0, lt=1)
    validation_share: float = Field(0.1, gt=0, lt=1, description="share of the training part, for the live curves")
    piece: int | None = Field(None, ge=10, description="only the middle so many bases of each merged locus")
    max_windows: int | None = Field(None, ge=20)
    threads: int = Field(2, ge=1, le=256)
    seed: Seed = 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.k > self.window:
            raise ValueError(f"k = {self.k} is longer than the window of {self.window} bases")
        if self.piece is not None and self.piece < self.window:
            raise ValueError(f"piece = {self.piece} bases is shorter than the window of {self.window} bases")
        if self.test_chromosomes and self.split != "chromosome":
            raise ValueError(f"test-chromosomes go with the chromosome split, not with the {self.split} split")
        return self


class ReadSetSettings(Settings):
    """How ancient and modern reads become a dataset."""

    title = "read-set"

    length: int = Field(76, ge=20, le=300, description="bases kept of each read, from its 5' end")
    min_length: int = Field(30, ge=10)
    min_mapping_quality: int = Field(0, ge=0, le=254)
    max_reads: int = Field(100_000, ge=20, description="reads drawn of each class at most")
    test_share: float = Field(0.2, gt=0, lt=1)
    validation_share: float = Field(0.1, gt=0, lt=1)
    seed: Seed = 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_length > self.length:
            raise ValueError(f"min-length = {self.min_length} is more than the {self.length} bases kept of each read")
        return self


class TrainSettings(Settings):
    """How a model is trained. Use `TrainSettings.preset_of` for the published settings of each preset."""

    title = "train"

    preset: Preset
    epochs: int = Field(ge=1, le=10_000)
    batch_size: int = Field(ge=1, le=1_000_000)
    learning_rate: float = Field(gt=0, le=10)
    device: Device = "auto"
    threads: int = Field(2, ge=1, le=256)
    reverse_complements: bool = False
    controls: bool = True
    bootstrap_samples: int = Field(1000, ge=20, le=100_000)
    seed: Seed = 1

    @classmethod
    def preset_of(cls, preset: str, **overrides: Any) -> Self:
        """Return a preset's settings with some of them replaced; overrides that are None keep the preset's value.

        `bilstm` is trained with batches of 256 at a learning rate of 0.003, not of 32 at 0.001 as published: the
        same accuracy in a fraction of the time. The CNNs keep the published SGD schedules.
        """
        if preset not in PRESETS:
            raise SettingsError(f"train: there is no preset {preset!r}; choose one of {', '.join(PRESETS)}.")
        chosen = {name: value for name, value in overrides.items() if value is not None}
        return cls.make(**{"preset": preset, **PRESETS[preset], **chosen})


PRESETS: dict[str, dict[str, Any]] = {
    "bilstm": {"epochs": 5, "batch_size": 256, "learning_rate": 3e-3},
    "logistic": {"epochs": 1, "batch_size": 4096, "learning_rate": 1.0},
    "cnn-shallow": {"epochs": 20, "batch_size": 32, "learning_rate": 0.01, "reverse_complements": True},
    "cnn-deep": {"epochs": 50, "batch_size": 256, "learning_rate": 0.01, "reverse_complements": True},
    **{
        name: {"epochs": 8, "batch_size": 128, "learning_rate": 3e-4}
        for name in ("ends", "ends-reference", "ends-quality")
    },
}
"""Settings of each preset that differ from the defaults above."""

PRESET_TEXT: dict[str, str] = {
    "bilstm": "BiLSTM on 10-mers: the published network. Embedding 10, bidirectional LSTM 10, dense 10, RMSprop.",
    "logistic": "Logistic regression on k-mer counts: the baseline that a network must beat.",
    "cnn-shallow": "Shallow CNN on one-hot bases: two convolutions of 32 filters, pooling, dense 16, SGD.",
    "cnn-deep": "Deep CNN on one-hot bases: three blocks of 32, 64 and 128 filters with batch normalisation and "
    "dropout, dense 128, SGD with a falling rate.",
    "ends": "Both ends of a read: weights by distance from either end and a small CNN. Needs no reference.",
    "ends-reference": "Both ends of a read with the reference bases under them; begins as the PMD score.",
    "ends-quality": "As ends-reference; a damaged base counts by its quality.",
}


class ClassifySettings(Settings):
    """How reads are scored and sorted into ancient and modern."""

    title = "classify"

    threshold: float = Field(0.5, gt=0, lt=1, description="P(ancient) from which a read is called ancient")
    min_mapping_quality: int = Field(0, ge=0, le=254)
    min_length: int = Field(0, ge=0)
    bootstrap_samples: int = Field(300, ge=20, le=100_000)
    threads: int = Field(2, ge=1, le=64)
    seed: Seed = 1


class GeneSettings(Settings):
    """How windows over a gene become one probability."""

    title = "genes"

    threshold: float = Field(0.5, gt=0, lt=1)
    max_windows_per_gene: int | None = Field(None, ge=1)
    threads: int = Field(2, ge=1, le=256)
    device: Device = "auto"
    seed: Seed = 1


class InterpretSettings(Settings):
    """What is asked of a trained model."""

    title = "interpret"

    windows: int = Field(10_000, ge=20, le=100_000, description="test windows shuffled, drawn if there are more")
    repeats: int = Field(5, ge=1, le=100, description="shuffles of each place")
    block: int = Field(10, ge=1, le=100_000, description="bases in a stretch shuffled as a whole")
    threshold: float = Field(0.01, ge=0, lt=1, description="loss of accuracy from which a position is important")
    attributed: int = Field(200, ge=1, le=100_000, description="test windows for integrated gradients")
    steps: int = Field(200, ge=10, le=1000, description="steps of the integral")
    mutated: int = Field(6, ge=0, le=1000, description="test windows mutated, the surest right answers of each class")
    examples: tuple[int, ...] = Field((), description="rows of the dataset to mutate instead")
    device: Device = "auto"
    threads: int = Field(2, ge=1, le=256)
    seed: Seed = 1


class EmbedSettings(Settings):
    """How vectors of k-mers become a map."""

    title = "embed"

    method: Literal["pca", "umap"] = "pca"
    vectors: Literal["learnt", "composition"] = "learnt"
    dimensions: Literal[2, 3] = 2
    kmers: int | None = Field(None, ge=50, description="most frequent k-mers to show; all if none")
    sample: int = Field(50_000, ge=50, le=500_000, description="k-mers that UMAP is fitted to")
    weighted: bool = Field(False, description="draw that sample by frequency and not evenly over the k-mers seen")
    neighbours: int = Field(15, ge=2, le=200, description="neighbours in UMAP")
    min_dist: float = Field(0.1, ge=0, lt=1, description="smallest distance in UMAP")
    clusters: int = Field(8, ge=1, le=50, description="clusters of k-means")
    projector: int = Field(100_000, ge=0, description="most frequent k-mers in the projector's files")
    threads: int = Field(2, ge=1, le=256)
    seed: Seed = 1


class SimulateSettings(Settings):
    """Size of the simulated project. The defaults take well under a minute on two cores."""

    title = "simulate"

    seed: Seed = 1
    reads: int = Field(40_000, ge=1_000, le=5_000_000, description="records in each of the three BAM files")
    chromosome_length: int = Field(1_500_000, ge=200_000, le=50_000_000)
    chromosomes: int = Field(4, ge=2, le=22)
    contamination: float = Field(0.25, ge=0, le=1, description="share of modern reads in mixed.bam")
    threads: int = Field(2, ge=1, le=64)

    @field_validator("chromosome_length")
    @classmethod
    def _whole_kilobases(cls, value: int) -> int:
        if value % 1000:
            raise ValueError("give whole kilobases, as isochores and genes are laid out by the kilobase")
        return value


class DemoSettings(Settings):
    """The demo has a seed and threads, which its steps share; all else is their defaults."""

    title = "demo"

    threads: int = Field(2, ge=1, le=64)
    seed: Seed = 1

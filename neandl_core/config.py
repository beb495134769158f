"""Settings: frozen, checked when made, saved with every result. No heavy imports.

Each command has one settings class. `as_sentence` turns a refused value into the one sentence that users see, so a
page, the command line and a run folder refuse the same things in the same words.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from neandl_core.errors import SettingsError
from neandl_core.presets import OPTIONS, PRESETS

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Split = Literal["chromosome", "locus", "interval", "random"]
Definition = Literal["alignment-column", "read-base"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Preset = Literal[
    "bilstm", "cnn-shallow", "cnn-deep", "cnn-windows", "bag-of-kmers-mlp", "bag-of-kmers-forest", "boosting",
    "word2vec", "logistic", "ends", "ends-reference", "ends-quality",
]

LEAKY: tuple[Split, ...] = ("interval", "random")
"""Splits under which test windows share bases with training windows if intervals overlap."""
MATCHES = ("length", "n", "gc", "chromosome", "gene-distance")
"""In what drawn depleted intervals can be like the introgressed ones."""
MATCHED = MATCHES[:4]
"""In what they are, unless said otherwise."""
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
    if first["type"] == "extra_forbidden":
        return f"{title}: there is no setting {name!r}."
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
    match: tuple[Literal["length", "n", "gc", "chromosome", "gene-distance"], ...] = Field(
        MATCHED, description="in what drawn depleted intervals are like the introgressed ones"
    )
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
    """How a model is trained. Use `TrainSettings.preset_of` for the published settings of each preset.

    `presets.OPTIONS` says which of them a preset has; titles and descriptions are what the page's form shows.
    """

    title = "train"

    preset: Preset
    epochs: int = Field(ge=1, le=10_000, title="Epochs", description="Times the model sees all training examples.")
    batch_size: int = Field(
        ge=1, le=1_000_000, title="Batch size", description="Examples per step. Larger is faster, less sure to learn."
    )
    learning_rate: float = Field(
        gt=0, le=10, title="Learning rate", description="Size of a step. Too large and the loss jumps about; too small "
        "and nothing is learnt in time."
    )
    k: int | None = Field(
        None, ge=1, le=12, title="k-mer length", description="Bases per word; the dataset's own if none."
    )
    hidden: int | None = Field(
        None, ge=1, le=20_000, title="Hidden units", description="Units of the hidden layer: more can learn more, and "
        "learn by heart sooner."
    )
    filters: int | None = Field(
        None, ge=1, le=2_000, title="Filters", description="Motifs that the first layer can look for."
    )
    l1: float | None = Field(
        None, ge=0, le=1, title="L1 penalty", description="Draws weights of k-mers that do not help towards 0."
    )
    trees: int | None = Field(
        None, ge=1, le=10_000, title="Trees", description="Trees grown; more take longer and steady the answer."
    )
    depth: int | None = Field(
        None, ge=1, le=1_000, title="Depth of a tree", description="Most questions asked in a row; no limit if none."
    )
    leaves: int | None = Field(None, ge=2, le=10_000, title="Leaves of a tree", description="Most leaves of one tree.")
    vector_size: int | None = Field(
        None, ge=1, le=1_000, title="Vector size", description="Numbers that describe a k-mer."
    )
    context: int | None = Field(
        None, ge=1, le=1_000, title="Neighbours", description="How many k-mers before and after one are "
        "taken as its surroundings."
    )
    min_count: int | None = Field(
        None, ge=1, title="Least count", description="Rarer k-mers get no vector."
    )
    most_examples: int | None = Field(
        None, ge=20, title="Most examples", description="Of a larger training part so many are drawn at "
        "random, which bounds memory and time; the result says so."
    )
    reverse_complements: bool = Field(
        False, title="Both strands", description="Train on the reverse complement of every example too."
    )
    device: Device = "auto"
    threads: int = Field(2, ge=1, le=256)
    bf16: bool = Field(
        False, title="bfloat16", description="Numbers of half the size in the layers, on a GPU: faster, and the scores "
        "are slightly others."
    )
    processes: int = Field(1, ge=1, le=256, description="that share each batch, with a GPU each where there are GPUs")
    controls: bool = True
    bootstrap_samples: int = Field(1000, ge=20, le=100_000)
    seed: Seed = 1

    @model_validator(mode="after")
    def _shared_by_steps(self) -> Self:
        if self.processes > 1 and "learning_rate" not in OPTIONS[self.preset]:
            raise ValueError(f"{self.preset} is fitted outright, not step by step: it cannot be shared by processes")
        return self

    @classmethod
    def preset_of(cls, preset: str, **overrides: Any) -> Self:
        """Return a preset's settings with some of them replaced; overrides that are None keep the preset's value.

        `bilstm` is trained with batches of 256 at a learning rate of 0.003, not of 32 at 0.001 as published: the
        same accuracy in a fraction of the time. The CNNs keep the published SGD schedules.

        Raises
        ------
        SettingsError
            If there is no such preset, it has no such setting, or a value is impossible.
        """
        if not isinstance(preset, str) or preset not in PRESETS:
            raise SettingsError(f"train: there is no preset {preset!r}; choose one of {', '.join(PRESETS)}.")
        chosen = {name: value for name, value in overrides.items() if value is not None}
        of_some = {name for names in OPTIONS.values() for name in names}
        for name in chosen:
            # A run's own config.json names what the preset fixes, too; only another value is refused.
            fixed = chosen[name] in (PRESETS[preset].get(name), False)
            if name in of_some and name not in OPTIONS[preset] and not fixed:
                raise SettingsError(
                    f"train: {name.replace('_', '-')} is no setting of {preset}; it has "
                    f"{', '.join(option.replace('_', '-') for option in OPTIONS[preset])}."
                )
        return cls.make(**{"preset": preset, **PRESETS[preset], **chosen})


class ControlSettings(Settings):
    """How a trained model is held against its controls."""

    title = "controls"

    shuffles: int = Field(3, ge=1, le=1000, description="times the model is trained on labels shuffled by locus")
    bootstrap_samples: int = Field(1000, ge=20, le=100_000)
    threads: int = Field(2, ge=1, le=256)
    device: Device = "auto"
    seed: Seed = 1


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
    fdr: float | None = Field(None, gt=0, lt=1, description="call genes by this false-discovery rate instead")
    max_windows_per_gene: int | None = Field(None, ge=1)
    threads: int = Field(2, ge=1, le=256)
    device: Device = "auto"
    bf16: bool = Field(False, description="bfloat16 where it helps, on a GPU")
    seed: Seed = 1


class OverlapSettings(Settings):
    """How segments are placed at random, and what counts as a gene."""

    title = "overlap"

    null: Literal["rotation", "mask", "uniform"] = "rotation"
    merged: bool = Field(False, description="overlapping segments as one locus")
    merge_genes: bool = Field(False, description="isoforms of a gene as one")
    compare: bool = Field(True, description="the naive placement beside the chosen one")
    permutations: int = Field(1000, ge=20, le=1_000_000)
    threads: int = Field(2, ge=1, le=64)
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


class ExportSettings(Settings):
    """How figures are written; the names of fonts and colours are checked where they are known."""

    title = "export"

    formats: tuple[str, ...] = ("pptx", "pdf", "png", "html", "xlsx")
    width: Literal["89", "183", "slide"] | None = Field(None, description="mm or a slide; each figure's own if none")
    font: str = Field("Liberation Sans", max_length=60)
    palette: str = Field("Okabe-Ito", max_length=60)
    dots_per_inch: Literal[150, 300, 600] = 300
    editable: bool = Field(False, description="charts of PowerPoint instead of pictures, where one can be")
    heading: str = Field("", max_length=200, description="title of deck and report")
    subtitle: str = Field("", max_length=200)
    threads: int = Field(2, ge=1, le=256)


class IndexSettings(Settings):
    """An index follows from its file alone."""

    title = "index"


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


class DataSettings(Settings):
    """Which published data are fetched, from where, and what is made of them."""

    title = "data"

    sets: tuple[str, ...]
    to: str
    mirror: str | None = None
    offline: bool = False
    accept_licence: bool = False
    genome: str | None = None
    piece: int | None = Field(None, ge=200, description="bases in the middle of each locus that windows are laid over")
    test_chromosomes: tuple[str, ...] = ()
    threads: int = Field(2, ge=1, le=256)
    seed: Seed = 1


class CheckSettings(Settings):
    """How files are checked."""

    title = "check"

    threads: int = Field(2, ge=1, le=256)


class CohortSettings(Settings):
    """How the reads of many samples are chosen and counted, the same for all."""

    title = "cohort"

    definition: Definition = "alignment-column"
    min_mapping_quality: int = Field(0, ge=0, le=254)
    min_length: int = Field(0, ge=0)
    quick: bool = False
    threads: int = Field(1, ge=1, le=64, description="of each sample")
    seed: Seed = 1


class DemoSettings(Settings):
    """The demo has a seed and threads, which its steps share; all else is their defaults."""

    title = "demo"

    until: str | None = Field(None, description="the last step to do; all if none")
    threads: int = Field(2, ge=1, le=64)
    seed: Seed = 1

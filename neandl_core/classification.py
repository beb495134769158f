"""`classify`: P(ancient) of every read of a BAM in one pass, the two BAMs it makes, and the sample's contamination.

Memory does not grow with the file: reads are scored chunk by chunk, and what the estimate needs is a table of counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core import __version__
from neandl_core.calibration import Calibration, load_calibration
from neandl_core.classify_kernel import IN_ORDER, REASONS, TAG, TOTAL, WITHOUT_REFERENCE, read_rows, write_tagged
from neandl_core.config import FEW_READS, ClassifySettings
from neandl_core.contamination import (
    GROUPS,
    METHOD,
    Contamination,
    ScoreModel,
    estimate_contamination,
    locus_groups,
    make_score_model,
)
from neandl_core.errors import InputError
from neandl_core.io.alignments import Alignments
from neandl_core.io.bam_writer import BamWriter, add_program_line, sort_and_index
from neandl_core.io.reference import ReferenceBases, contig_at_hand
from neandl_core.metrics import locus_bootstrap
from neandl_core.models import LAYERS_SEEN
from neandl_core.prediction import Predictor, load_model
from neandl_core.read_sample import FILE as SAMPLE
from neandl_core.read_sample import PROBABILITY_BINS, ReadSampler
from neandl_core.recording import Progress, Run, no_progress, require_run
from neandl_core.runs import read_summary
from neandl_core.schemas import PREDICTIONS, READ_SCORES, check_table

SIDES = ("modern", "ancient")
"""Names of the two BAMs, by the class that their reads were called."""
WORST_AUC = 0.55
"""A classifier whose AUC's interval on held-out reads reaches down to this cannot say how much is modern."""
MOST_ROWS = 5_000_000
"""Reads listed one by one at most; the tag in the BAMs has them all."""
LARGEST_MISFIT = 4.0
DIFFERENT_LENGTHS = 0.4
"""Length distributions of sample and training that overlap less than by the rest of 1 are warned of."""
_ROWS = 8192


@dataclass(frozen=True)
class Classifier:
    """A trained model of reads with what its held-out reads say of it.

    Attributes
    ----------
    predictor, calibration
        The network, and how its probabilities are corrected.
    scores
        Distribution of calibrated probabilities in either class.
    lengths : (width + 1,) int64 array
        Held-out reads by length in bases.
    auc, auc_low
        On the held-out reads, and the lower end of its 95% interval.
    held_out
        Test reads behind it.
    """

    predictor: Predictor
    calibration: Calibration
    scores: ScoreModel
    lengths: np.ndarray
    auc: float
    auc_low: float
    held_out: int

    @property
    def shortest(self) -> int:
        """Length of the shortest held-out read; shorter reads are not scored."""
        return int(np.flatnonzero(self.lengths)[0])

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that the network reads beside the bases."""
        return LAYERS_SEEN.get(self.predictor.card.preset, ())


def load_classifier(folder: Path, threads: int, seed: int) -> Classifier:
    """Load what a `train` run on reads left behind.

    Raises
    ------
    InputError
        If it is not such a run, its split leaks, or its model cannot tell the classes apart on reads it never saw.
    """
    folder = require_run(folder, "train")
    predictor = load_model(folder, threads=threads)
    if predictor.card.dataset_kind != "reads":
        raise InputError(
            "this model was trained on windows of a genome, not on reads", path=folder,
            advice="Make a dataset with read-set and train a model on it.",
        )
    calibration = load_calibration(folder)
    try:
        table = pd.read_parquet(folder / "predictions.parquet")
    except (OSError, ValueError) as error:
        raise InputError(
            f"the held-out reads of this run cannot be read ({type(error).__name__})", path=folder,
            advice="Train the model again.",
        ) from None
    check_table(table, PREDICTIONS, "predictions")
    labels, loci = table["label"].to_numpy(np.int64), table["locus"].to_numpy()
    if "length" not in table or len(np.unique(labels)) < 2:
        raise InputError("the held-out reads of this run are not of both classes with their lengths", path=folder,
                         advice="Train the model again.")
    scores = calibration.apply(table["probability"].to_numpy())
    spread = locus_bootstrap(labels, scores, loci, 200, np.random.default_rng([seed, 31]))
    low, area = spread.intervals["auc"][0], read_summary(folder)["test"]["auc"]
    if not low > WORST_AUC:
        raise InputError(
            f"this model cannot tell ancient from modern reads that it never saw: its AUC is {area:.2f}, with a 95% "
            f"interval from {low:.2f}, and {WORST_AUC} is the least", path=folder,
            advice="Train one with more reads, another preset, or samples with more damage.",
        )
    lengths = table["length"].to_numpy()
    return Classifier(
        predictor, calibration, make_score_model(labels, scores, lengths, loci),
        np.bincount(lengths, minlength=predictor.card.width + 1), float(area), float(low), len(table),
    )


@dataclass(eq=False)
class Scored:
    """What a pass over a file counted.

    Attributes
    ----------
    total
        Records of the file.
    dropped
        Reason -> records that were not scored.
    sides
        Reads called modern, ancient.
    cells : (groups of loci, bins) int64 array
        Reads by group and bin of length and score.
    lengths : (width + 1,) int64 array
        Reads by bases looked at.
    longer
        Reads longer than the model looks at.
    rows
        Reads listed in `reads.parquet`.
    in_order
        Whether the scored records were sorted by coordinate.
    """

    total: int
    dropped: dict[str, int]
    sides: list[int]
    cells: np.ndarray
    lengths: np.ndarray
    longer: int
    rows: int
    in_order: bool


def score_reads(
    alignments: Alignments, classifier: Classifier, settings: ClassifySettings, folder: Path, command: str,
    progress: Progress = no_progress, reference: Path | None = None,
) -> Scored:
    """Score every read, write `ancient.bam`, `modern.bam` (sorted, indexed), `reads.parquet` and `read_sample.npz`.

    Records that are not scored are in neither BAM; `Scored.dropped` counts them.

    Parameters
    ----------
    alignments
        An opened file.
    classifier
        From `load_classifier`.
    settings
        Threshold and filters.
    folder
        An existing folder that all is written into.
    command
        What the @PG line says was run.
    progress
        Told the compressed bytes read.
    reference
        FASTA or 2bit that the reads were aligned to: the reference bases of reads whose MD tag is missing or does not
        fit, for the network and for `read_sample.npz`.

    Raises
    ------
    InputError
        If the file is damaged or none of its reads can be scored.
    OutputError
        If the disk refuses.
    """
    width = classifier.predictor.card.width
    size = int(np.prod(classifier.scores.shape))
    layers, places = np.empty((3, _ROWS, width), np.uint8), np.empty((_ROWS, 6), np.int64)
    dropped, figures = np.zeros(len(REASONS), np.int64), np.array([0, 1, -1, -1])
    scored = Scored(0, {}, [0, 0], np.zeros((GROUPS, size), np.int64), np.zeros(width + 1, np.int64), 0, 0, True)
    least = max(settings.min_length, classifier.shortest)
    header = add_program_line(
        alignments.header, "NeanDL-classify", __version__, command,
        f"{TAG}:f is the probability that a read is ancient, at even odds",
    )
    names = np.array([name for name, _ in alignments.contigs], dtype=object)
    sampler = ReadSampler(PROBABILITY_BINS, tuple(names), settings.seed)
    genome = ReferenceBases(reference, alignments) if reference is not None else None
    bases = contig_at_hand(genome)
    with _ReadTable(folder / "reads.parquet") as table, _pair(folder, header, alignments, settings.threads) as writers:
        for chunk, done in alignments.chunks():
            at = 0
            while at < chunk.size:
                at, filled, needed = read_rows(
                    chunk, at, len(names), settings.min_mapping_quality, least, bool(classifier.layers), *bases, layers,
                    places, dropped, figures,
                )
                # Reads of this block that lack an MD tag lie on the contig that was at hand.
                codes, bases = bases[1], contig_at_hand(genome, needed, bases)
                if at < 0:
                    raise InputError(
                        "the file is corrupt: a record's reference id, position or sequence length cannot be",
                        path=alignments.path, advice="Copy or download it again and compare the sizes.",
                    )
                if filled:
                    probabilities = _probabilities(classifier, layers[:, :filled])
                    _count(scored, classifier.scores, probabilities, places[:filled], width)
                    ancient = probabilities >= settings.threshold
                    scored.sides[0] += int((~ancient).sum())
                    scored.sides[1] += int(ancient.sum())
                    _write(writers, chunk, places[:filled], probabilities, ancient)
                    sampler.add(chunk, places[:filled, 0], probabilities, codes, places[:filled, 5] == 1)
                    scored.rows += table.add(chunk, places[:filled], names, probabilities, ancient, scored.rows)
            progress(done, alignments.size, "Scoring reads")
    scored.total, scored.in_order = int(figures[TOTAL]), bool(figures[IN_ORDER])
    named = {
        "mapping quality too low": f"mapping quality below {settings.min_mapping_quality}",
        "too short": f"shorter than {least} bases",
    }
    scored.dropped = {named.get(reason, reason): int(n) for reason, n in zip(REASONS, dropped, strict=True) if n}
    if not sum(scored.sides):
        reasons = "; ".join(f"{reason}: {n:,}" for reason, n in scored.dropped.items()) or "it holds no records"
        raise InputError(
            f"0 usable reads of {scored.total:,} ({reasons})", path=alignments.path,
            advice="Give the FASTA the reads were aligned to with --reference." if dropped[WITHOUT_REFERENCE] else "",
        )
    sampler.save(folder / SAMPLE)
    for name in SIDES:
        progress(0, 0, f"Indexing {name}.bam")
        sort_and_index(
            folder / f"{name}.bam", scored.in_order and alignments.sort_order == "coordinate", settings.threads
        )
    return scored


def _pair(folder: Path, header: str, alignments: Alignments, threads: int) -> _Pair:
    return _Pair([BamWriter(folder / f"{name}.bam", header, alignments.contigs, threads) for name in SIDES])


class _Pair:
    """The two BAMs being written."""

    def __init__(self, writers: list[BamWriter]) -> None:
        self.writers = writers

    def __enter__(self) -> list[BamWriter]:
        return self.writers

    def __exit__(self, *exception: Any) -> None:
        for writer in self.writers:
            writer.__exit__(*exception)


def _probabilities(classifier: Classifier, layers: np.ndarray) -> np.ndarray:
    """Return calibrated P(ancient) of (3, n, width) layers, (n,) float32."""
    order = {"reference": 1, "quality": 2}
    inputs = layers[0]
    if classifier.layers:
        inputs = np.stack([layers[0], *(layers[order[name]] for name in classifier.layers)], axis=1)
    return classifier.calibration.apply(classifier.predictor.probabilities(inputs))


def _count(scored: Scored, model: ScoreModel, probabilities: np.ndarray, places: np.ndarray, width: int) -> None:
    lengths = np.minimum(places[:, 2], width)
    size = scored.cells.shape[1]
    cell = locus_groups(places[:, 3], places[:, 4]) * size + model.bins(probabilities, lengths)
    scored.cells += np.bincount(cell, minlength=scored.cells.size).reshape(scored.cells.shape)
    scored.lengths += np.bincount(lengths, minlength=width + 1)
    scored.longer += int((places[:, 2] > width).sum())


def _write(
    writers: list[BamWriter], chunk: np.ndarray, places: np.ndarray, probabilities: np.ndarray, ancient: np.ndarray
) -> None:
    answers = probabilities.astype("<f4").view(np.uint8).reshape(-1, 4)
    out = np.empty(int((places[:, 1] - places[:, 0] + 7).sum()), np.uint8)
    for writer, chosen in zip(writers, (~ancient, ancient), strict=True):
        writer.write(out[: write_tagged(chunk, places, answers, chosen, out)])


class _ReadTable:
    """`reads.parquet`, written block by block."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._pa = pa
        self._schema = pa.schema([
            ("name", pa.string()), ("contig", pa.dictionary(pa.int32(), pa.string())), ("start", pa.int64()),
            ("length", pa.int32()), ("probability", pa.float32()), ("called", pa.dictionary(pa.int32(), pa.string())),
        ])
        assert list(self._schema.names) == list(READ_SCORES)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> _ReadTable:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(
        self, chunk: np.ndarray, places: np.ndarray, contigs: np.ndarray, probabilities: np.ndarray,
        ancient: np.ndarray, before: int,
    ) -> int:
        """Append reads while there is room; return how many."""
        count = min(len(places), MOST_ROWS - before)
        if count <= 0:
            return 0
        raw = chunk.tobytes()
        texts = [
            raw[at + 36 : at + 35 + raw[at + 12]].decode("utf-8", "replace") for at in places[:count, 0].tolist()
        ]

        def named(values: np.ndarray, names: list[str]) -> Any:
            return self._pa.DictionaryArray.from_arrays(self._pa.array(values.astype(np.int32)), names)

        columns = [
            self._pa.array(texts), named(places[:count, 3], contigs.tolist()), self._pa.array(places[:count, 4]),
            self._pa.array(places[:count, 2].astype(np.int32)), self._pa.array(probabilities[:count]),
            named(ancient[:count], list(SIDES)),
        ]
        self._writer.write_table(self._pa.Table.from_arrays(columns, schema=self._schema))
        return count


def warnings_on(scored: Scored, classifier: Classifier, found: Contamination) -> list[str]:
    """Return why an estimate should not be trusted, in sentences."""
    warnings = []
    reads = int(scored.lengths.sum())
    apart = length_distance(scored.lengths, classifier.lengths)
    if apart > DIFFERENT_LENGTHS:
        median, usual = (
            int(np.searchsorted(np.cumsum(lengths), lengths.sum() / 2))
            for lengths in (scored.lengths, classifier.lengths)
        )
        warnings.append(
            f"Lengths differ from the training reads (median {median} against {usual} bases; {apart:.0%} of the "
            "distributions do not overlap): how scores of such reads are distributed is little known. Train on reads "
            "of this sample's lengths."
        )
    if found.misfit > LARGEST_MISFIT:
        warnings.append(
            "The scores fit no mixture of the two classes well (deviation "
            f"{found.misfit:.1f} times what sampling explains): this sample's damage, library or sequencing differs "
            "from the training samples', and the estimate may be far off."
        )
    if reads < FEW_READS:
        warnings.append(f"Only {reads:,} reads were scored: the interval says how little they tell.")
    return warnings


def length_distance(sample: np.ndarray, known: np.ndarray) -> float:
    """Return how much of two length histograms does not overlap, 0 to 1, in steps of five bases."""
    def shares(counts: np.ndarray) -> np.ndarray:
        return np.add.reduceat(counts, np.arange(0, len(counts), 5)) / counts.sum()

    return float(np.abs(shares(sample) - shares(known)).sum() / 2)


def notes_on(scored: Scored, classifier: Classifier) -> list[str]:
    """Return what to know of any result, in sentences."""
    notes = []
    reads = int(scored.lengths.sum())
    if scored.longer:
        notes.append(
            f"{scored.longer:,} reads are longer than the {classifier.predictor.card.width} bases that the model "
            "looks at; of these its first bases were scored."
        )
    notes.append(
        "The estimate takes the sample's ancient and modern reads for the same kinds as those trained on. A sample "
        "with less damage than the training sample looks more contaminated than it is."
    )
    notes.append(
        "The two sides differ in damage because damage is what they were told apart by: that is no evidence of age. "
        "Many ancient reads carry no damage and are among those called modern."
    )
    notes.append(
        f"{TAG} is P(ancient) at even odds of both classes, as in training. Records that were not scored "
        f"({sum(scored.dropped.values()):,}) are in neither BAM."
    )
    if scored.rows < reads:
        notes.append(f"reads.parquet lists the first {scored.rows:,} of {reads:,} reads; the tag {TAG} has them all.")
    if not scored.in_order:
        notes.append("The records were not sorted by coordinate; the two BAMs are.")
    return notes


def score_table(scored: Scored, model: ScoreModel, found: Contamination) -> pd.DataFrame:
    """Return reads by score with the fit (`schemas.SCORES`)."""
    edges = np.concatenate([[0.0], model.score_edges, [1.0]])
    return pd.DataFrame({
        "low": edges[:-1], "high": edges[1:],
        "reads": scored.cells.sum(axis=0).reshape(model.shape).sum(axis=0),
        "fitted_modern": found.expected[0], "fitted_ancient": found.expected[1],
    })


def run_classify(
    alignments: Alignments, classifier: Classifier, settings: ClassifySettings, run: Run, command: str,
    reference: Path | None = None,
) -> tuple[Scored, Contamination, dict[str, Any]]:
    """Score a file, estimate its contamination and return both with the part of `summary.json` that tells of them."""
    scored = score_reads(alignments, classifier, settings, run.results, command, run.progress, reference)
    run.progress(0, 0, "Estimating contamination")
    found = estimate_contamination(
        scored.cells, classifier.scores, settings.bootstrap_samples, np.random.default_rng([settings.seed, 33])
    )
    table = score_table(scored, classifier.scores, found)
    table.to_csv(run.results / "scores.tsv", sep="\t", index=False)
    reads = int(sum(scored.sides))
    card = classifier.predictor.card
    return scored, found, {
        "file": alignments.path.name,
        "contamination": {
            "estimate": found.estimate, "ci": [found.low, found.high], "method": METHOD, "misfit": found.misfit,
            "share_below_threshold": scored.sides[0] / reads,
        },
        "threshold": settings.threshold,
        "reads_total": scored.total,
        "reads_scored": reads,
        "reads": dict(zip(SIDES, scored.sides, strict=True)),
        "dropped": scored.dropped,
        "model": {
            "preset": card.preset, "width": card.width, "auc": classifier.auc, "auc_low": classifier.auc_low,
            "held_out": classifier.held_out, "ece_before": classifier.calibration.ece_before,
            "ece_after": classifier.calibration.ece_after, "calibration": classifier.calibration.method,
        },
        "reliability": {
            "before": classifier.calibration.reliability_before, "after": classifier.calibration.reliability,
        },
        "lengths": {
            name: {int(n): int(counts[n]) for n in np.flatnonzero(counts)}
            for name, counts in (("sample", scored.lengths), ("held_out", classifier.lengths))
        },
        "warnings": warnings_on(scored, classifier, found),
        "notes": [*notes_on(scored, classifier), *classifier.predictor.notes],
        "simulated": alignments.simulated or card.simulated,
    }

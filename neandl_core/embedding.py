"""One `embed` run: vectors of k-mers, flattened to two or three dimensions, with what is known of each k-mer.

A k-mer that never occurred in the training windows keeps the random vector that it began with. Such k-mers are marked,
the map is never fitted to them, and they belong to no cluster.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neandl_core.config import EmbedSettings
from neandl_core.dataset import Dataset, load_dataset
from neandl_core.encoding import kmer_codes
from neandl_core.errors import InputError
from neandl_core.files import require_file
from neandl_core.kmer_selection import read_subset
from neandl_core.kmer_space import composition_vectors, kmer_properties, write_projector
from neandl_core.models.store import load_stored
from neandl_core.recording import Progress, Run, no_progress
from neandl_core.runs import read_summary
from neandl_core.schemas import KMER_POINTS, check_table

PLACED = (
    "the others are placed at the mean of their nearest fitted k-mers' coordinates, nearer ones weighing more "
    "(by exp of minus the distance)"
)
"""How k-mers get onto a UMAP that was not fitted to them. UMAP's own transform takes ten times as long per k-mer."""
_CLUSTERED = 50_000
_JUDGED = 2_000
_BLOCK = 65_536
_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class KmerVectors:
    """Vectors of k-mers from any source.

    Attributes
    ----------
    k
        Length of the k-mers.
    kmers
        (n,) their numbers.
    vectors
        (n, dimensions) float32.
    frequency
        (n,) occurrences in the training windows.
    learnt
        Whether k-mers never seen have no vector worth the name.
    name
        What the vectors are, in words.
    """

    k: int
    kmers: np.ndarray
    vectors: np.ndarray
    frequency: np.ndarray
    learnt: bool
    name: str

    @property
    def seen(self) -> np.ndarray:
        """(n,) whether the training windows hold the k-mer."""
        return self.frequency > 0


@dataclass(frozen=True)
class KmerMap:
    """Points, aligned with the vectors that they stand for, and what the picture is worth."""

    points: pd.DataFrame
    vectors: np.ndarray
    facts: dict[str, Any]


def kmer_frequencies(dataset: Dataset, k: int, progress: Progress = no_progress) -> np.ndarray:
    """Count every k-mer in a dataset's training windows: (4**k,) int64."""
    rows = dataset.part("train")
    counts = np.zeros(4**k + 1, np.int64)
    for start in range(0, len(rows), 8192):
        kmers = kmer_codes(dataset.codes[rows[start : start + 8192]], k)
        counts += np.bincount(kmers.ravel(), minlength=4**k + 1)
        progress(start, len(rows), "Counting k-mers")
    return counts[:-1]


def vectors_of_run(
    source: Path, settings: EmbedSettings, dataset_folder: Path | None = None, progress: Progress = no_progress
) -> KmerVectors:
    """Return the vectors of a train run's k-mers: those it learnt, or those of their composition.

    Raises
    ------
    InputError
        If the model has no vectors, or its dataset is gone.
    """
    described = (read_summary(source) or {})["dataset"]
    folder = dataset_folder or Path(described["folder"])
    if not folder.is_dir():
        raise InputError(
            "the dataset that this model was trained on is gone", path=folder,
            advice="Name its folder with --dataset if it was moved; the k-mers seen in training are counted in it.",
        )
    dataset = load_dataset(folder)
    card, model = load_stored(source)
    k = card.k or dataset.description.k
    if settings.vectors == "composition":
        if k == 0:
            raise InputError("this model and its dataset have no k-mer length", path=source)
        kmers = np.arange(4**k)
        vectors, name = composition_vectors(kmers, k), "shares of bases and of neighbouring pairs"
    else:
        found = learnt_vectors(model)
        if found is None:
            raise InputError(
                f"a {card.preset} model learns no vectors of k-mers", path=source,
                advice="Choose a model that does, such as a BiLSTM, or --vectors composition.",
            )
        kmers, vectors = found
        k = model.k
        name = f"vectors learnt by the {card.preset} model"
    frequency = kmer_frequencies(dataset, k, progress)[kmers]
    return KmerVectors(k, kmers, vectors, frequency, settings.vectors == "learnt", name)


def learnt_vectors(model: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the k-mers that a model has vectors for, and the vectors; None if it has none.

    Parameters
    ----------
    model
        A network with an `embedding` of all k-mers and one row for N, or a model with `kmers` and `vectors`.

    Returns
    -------
    kmers, vectors
        (n,) numbers in rising order and (n, dimensions) float32.
    """
    if hasattr(model, "embedding"):
        vectors = model.embedding.weight.detach().cpu().numpy()[: 4**model.k].copy()
        return np.arange(len(vectors)), vectors
    if hasattr(model, "kmers") and hasattr(model, "vectors"):
        order = np.argsort(model.kmers, kind="stable")
        return np.asarray(model.kmers)[order], np.asarray(model.vectors, np.float32)[order]
    return None


def map_kmers(
    source: KmerVectors, settings: EmbedSettings, progress: Progress = no_progress, subset: np.ndarray | None = None
) -> KmerMap:
    """Flatten vectors and describe each k-mer.

    Parameters
    ----------
    source
        The vectors.
    settings
        Method, dimensions, sample, clusters.
    progress
        Told of k-mers placed.
    subset
        Numbers of the k-mers to show; all if None.

    Returns
    -------
    KmerMap
        Points as in the table `KMER_POINTS`, in the order of the k-mers' numbers.

    Raises
    ------
    InputError
        If fewer than 50 k-mers can be fitted.
    """
    rows = np.arange(len(source.kmers))
    if subset is not None:
        rows = np.flatnonzero(np.isin(source.kmers, subset))
    if settings.kmers is not None and settings.kmers < len(rows):
        rows = np.sort(rows[np.argsort(-source.frequency[rows], kind="stable")[: settings.kmers]])
    vectors, frequency = source.vectors[rows], source.frequency[rows]
    usable = np.flatnonzero(frequency > 0) if source.learnt else np.arange(len(rows))
    if len(usable) < 50:
        raise InputError(f"only {len(usable)} k-mers occur in the training windows: a map needs at least 50")
    rng = np.random.default_rng([settings.seed, 41])
    flatten = _by_pca if settings.method == "pca" else _by_umap
    coordinates, fitted, facts = flatten(vectors, frequency, usable, settings, rng, progress)
    progress(len(rows), len(rows), "Clustering")
    points = kmer_properties(source.kmers[rows], source.k)
    for axis, values in zip(_AXES, coordinates.T, strict=False):
        points[axis] = values.astype(np.float32)
    points["frequency"] = frequency
    points["seen"] = (frequency > 0).astype(np.int8)
    points["cluster"] = _clusters(vectors, usable, settings, rng)
    points["fitted"] = fitted.astype(np.int8)
    facts |= {
        "vectors": source.name, "dimensions_before": int(vectors.shape[1]),
        "trustworthiness": _trustworthiness(vectors, coordinates, usable, rng),
        "clusters": f"k-means with {settings.clusters} clusters over the vectors",
    }
    return KmerMap(check_table(points, KMER_POINTS, "k-mer points"), vectors, facts)


def _by_pca(
    vectors: np.ndarray, frequency: np.ndarray, usable: np.ndarray, settings: EmbedSettings, rng: np.random.Generator,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    from sklearn.decomposition import PCA

    progress(0, len(vectors), "Finding the principal components")
    dimensions = min(settings.dimensions, vectors.shape[1])
    model = PCA(dimensions, random_state=settings.seed).fit(vectors[usable])
    fitted = np.zeros(len(vectors), bool)
    fitted[usable] = True
    return model.transform(vectors), fitted, {
        "explained_variance": [float(share) for share in model.explained_variance_ratio_],
        "fitted_to": f"all {len(usable):,} k-mers with a vector of their own; the others are projected",
    }


def _by_umap(
    vectors: np.ndarray, frequency: np.ndarray, usable: np.ndarray, settings: EmbedSettings, rng: np.random.Generator,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    progress(0, len(vectors), "Loading UMAP")
    from pynndescent import NNDescent

    umap = _load_umap()
    sample, how = usable, "all"
    if len(usable) > settings.sample:
        weights = frequency[usable] / frequency[usable].sum() if settings.weighted else None
        count = min(settings.sample, int((frequency[usable] > 0).sum()) if settings.weighted else settings.sample)
        sample = np.sort(rng.choice(usable, count, replace=False, p=weights))
        how = "drawn by frequency" if settings.weighted else "drawn evenly"
    neighbours = min(settings.neighbours, len(sample) - 1)
    # The index is made here and handed to UMAP, as it then also answers for the k-mers to be placed.
    index = NNDescent(vectors[sample], n_neighbors=neighbours, random_state=settings.seed, n_jobs=settings.threads)
    progress(0, len(vectors), f"Fitting UMAP to {len(sample):,} k-mers")
    # With a seed UMAP uses one thread; without one no two runs would give the same map.
    model = umap(
        n_neighbors=neighbours, n_components=settings.dimensions, min_dist=settings.min_dist,
        random_state=settings.seed, n_jobs=1, precomputed_knn=(*index.neighbor_graph, index),
    )
    coordinates = np.empty((len(vectors), settings.dimensions), np.float32)
    coordinates[sample] = model.fit_transform(vectors[sample])
    fitted = np.zeros(len(vectors), bool)
    fitted[sample] = True
    rest = np.flatnonzero(~fitted)
    if len(rest):
        index.prepare()
    for start in range(0, len(rest), _BLOCK):
        own = rest[start : start + _BLOCK]
        near, distance = index.query(vectors[own], k=neighbours)
        coordinates[own] = _weighted_mean(coordinates[sample][near], distance)
        progress(len(sample) + start + len(own), len(vectors), "Placing the other k-mers")
    return coordinates, fitted, {
        "fitted_to": f"{len(sample):,} k-mers ({how})" + (f"; {PLACED}" if len(rest) else ""),
        "neighbours": neighbours, "min_dist": settings.min_dist,
    }


def _load_umap() -> Any:
    """Return the class UMAP. Its package warns of a part that needs TensorFlow, which is not used here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        from umap import UMAP
    return UMAP


def _weighted_mean(coordinates: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return (n, d) means of coordinates (n, neighbours, d); weights fall from 1 at the nearest with the distance."""
    further = distance - distance[:, :1]
    scale = further.mean(axis=1, keepdims=True)
    weights = np.exp(-np.divide(further, scale, out=np.zeros_like(further), where=scale > 0))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("ij,ijd->id", weights, coordinates)


def _clusters(
    vectors: np.ndarray, usable: np.ndarray, settings: EmbedSettings, rng: np.random.Generator
) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans

    sample = usable if len(usable) <= _CLUSTERED else rng.choice(usable, _CLUSTERED, replace=False)
    model = MiniBatchKMeans(min(settings.clusters, len(sample)), random_state=settings.seed, n_init=3, batch_size=4096)
    model.fit(vectors[sample])
    clusters = np.full(len(vectors), -1, np.int16)
    clusters[usable] = model.predict(vectors[usable])
    return clusters


def _trustworthiness(
    vectors: np.ndarray, coordinates: np.ndarray, usable: np.ndarray, rng: np.random.Generator
) -> float:
    """Return how far neighbours in the map are neighbours among the vectors, on a sample (Venna and Kaski 2001)."""
    from sklearn.manifold import trustworthiness

    sample = usable if len(usable) <= _JUDGED else rng.choice(usable, _JUDGED, replace=False)
    near = min(15, (len(sample) - 1) // 2)
    return float(trustworthiness(vectors[sample], coordinates[sample], n_neighbors=near))


def embed_run(
    source: Path, run: Run, settings: EmbedSettings, interpretation: Path | None = None,
    dataset_folder: Path | None = None, subset: Path | None = None,
) -> dict[str, Any]:
    """Make the map of a train run's k-mers, write it to `run.results` and return the summary.

    Parameters
    ----------
    source
        Folder of a finished `train` run.
    run
        The run at work.
    settings
        How the map is made.
    interpretation
        Folder of a finished `interpret` run of the same model, whose attributions colour the map.
    dataset_folder
        Where the dataset is, if it was moved.
    subset
        A file of k-mers, one a line or in a column `kmer`; only these are mapped.
    """
    began = time.perf_counter()
    vectors = vectors_of_run(source, settings, dataset_folder, run.progress)
    wanted = None if subset is None else _read_subset(subset, vectors.k)
    made = map_kmers(vectors, settings, run.progress, wanted)
    points = made.points
    if interpretation is not None:
        points = points.assign(importance=_importance(points, interpretation, source))
    run.progress(len(points), len(points), "Writing")
    points.to_parquet(run.results / "points.parquet", index=False)
    np.save(run.results / "vectors.npy", made.vectors)
    shown = np.sort(np.argsort(-points["frequency"].to_numpy(), kind="stable")[: settings.projector])
    if len(shown):
        write_projector(run.results, made.vectors[shown], points.iloc[shown])
    trained = read_summary(source) or {}
    seen = int(points["seen"].sum())
    summary = {
        "simulated": trained["dataset"]["simulated"],
        "model": {"folder": str(source.resolve()), "preset": trained["preset"], "verdict": trained["verdict"]},
        "method": settings.method, "dimensions": settings.dimensions, "k": vectors.k, "learnt": vectors.learnt,
        "points": len(points), "seen": seen, "unseen": len(points) - seen, "fitted": int(points["fitted"].sum()),
        **made.facts,
        "subset": None if wanted is None else {"kmers": len(wanted), "without_vector": len(wanted) - len(points)},
        "projector": len(shown), "importance": interpretation is not None,
        "notes": _notes(vectors, points, seen, settings, made.facts),
        "seconds": round(time.perf_counter() - began, 2),
    }
    run.summarise(summary)
    return summary


def _read_subset(path: Path, k: int) -> np.ndarray:
    lines = require_file(path, "list of k-mers").read_text(encoding="utf-8", errors="replace").splitlines()
    head = [cell.strip().lower() for cell in lines[0].split("\t")]
    column = head.index("kmer") if "kmer" in head else 0
    cells = [line.split("\t") for line in (lines[1:] if "kmer" in head else lines) if line.strip()]
    try:
        return read_subset([row[column] for row in cells if len(row) > column], k)
    except InputError as error:
        raise InputError(str(error), path=path, advice="Give a k-mer a line, or a column `kmer`.") from None


def _importance(points: pd.DataFrame, interpretation: Path, source: Path) -> pd.Series:
    summary = read_summary(interpretation) or {}
    if Path(summary.get("model", {}).get("folder", "")) != source.resolve():
        raise InputError("this interpretation is of another model", path=interpretation)
    path = interpretation / "kmer_attributions.parquet"
    if not path.exists():
        raise InputError("this interpretation has no attributions of k-mers", path=interpretation)
    means = pd.read_parquet(path).set_index("kmer")["mean"]
    return points["kmer"].map(means)


def _notes(
    vectors: KmerVectors, points: pd.DataFrame, seen: int, settings: EmbedSettings, facts: dict[str, Any]
) -> list[str]:
    notes = []
    if vectors.learnt and seen < len(points):
        notes.append(
            f"{len(points) - seen:,} of {len(points):,} k-mers never occurred in the training windows. Their vectors "
            "are the random numbers that training began with; where they lie means nothing."
        )
    if vectors.learnt:
        rare = float((points.loc[points["seen"] == 1, "frequency"] < 10).mean())
        notes.append(
            f"{rare:.0%} of the k-mers seen occurred fewer than 10 times; their vectors have hardly moved from their "
            "random start."
        )
    if settings.method == "pca":
        notes.append(f"The axes hold {sum(facts['explained_variance']):.0%} of the variance of the vectors.")
    else:
        notes.append("UMAP keeps neighbours together; distances between groups and their sizes mean little.")
    return notes

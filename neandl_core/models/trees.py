"""Random forest and gradient boosting on k-mer counts, by scikit-learn; on disk as skops files.

A skops file names the Python types to be made of its numbers. A file that names any type but the few that such a model
consists of is refused before anything is made of it, and so are trees that point outside themselves.
"""

from __future__ import annotations

import json
import zipfile
from abc import abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from neandl_core.encoding import kmer_counts, kmer_text
from neandl_core.errors import InputError, OutputError, SettingsError
from neandl_core.files import require_file
from neandl_core.models.solved import COUNTS_BYTES, SolvedModel

MODEL = "model.skops"
IMPORTANCES_FILE = "importances.tsv"
_BLOCK = 8192
_PLAIN = {
    "builtins.dict", "builtins.list", "builtins.str", "builtins.tuple", "builtins.int", "builtins.float",
    "builtins.bool", "numpy.ndarray", "numpy.int64", "numpy.uint64", "numpy.float64",
}
_UNREADABLE = (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError, ImportError)


class TreeModel(SolvedModel):
    """Trees on the counts of all k-mers of an example.

    Parameters
    ----------
    k
        k-mer length.
    estimator
        The fitted scikit-learn model.
    """

    engine: ClassVar[str] = "scikit-learn"
    _types: ClassVar[frozenset[str]]

    def __init__(self, k: int, estimator: Any) -> None:
        self.k = k
        self.estimator = estimator

    @classmethod
    @abstractmethod
    def fit(
        cls, codes: np.ndarray, labels: np.ndarray, k: int, *, trees: int, depth: int | None, leaves: int,
        learning_rate: float, seed: int, threads: int, tell: Callable[[float], None],
    ) -> Self:
        """Fit the model to all examples given.

        Parameters
        ----------
        codes, labels
            (n, width) codes of bases, (n,) of 0 and 1.
        k
            k-mer length, 1 to 6.
        trees, depth, leaves, learning_rate
            Trees, most questions in a row (None: no limit), most leaves of one, share of each that counts; the last
            two for boosting alone.
        seed, threads
            The same numbers come from the same seed, whatever the threads.
        tell
            Told which share of the trees is grown.
        """

    @abstractmethod
    def _trees(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield left, right, feature of every tree's nodes, and whether each is a leaf."""

    @abstractmethod
    def importances(self) -> np.ndarray:
        """Return the share of what all questions remove that each k-mer's questions do, (trees or 1, 4**k) float64."""

    @property
    def parameters(self) -> int:
        """Nodes of all trees."""
        return sum(len(left) for left, *_ in self._trees())

    def probabilities(self, codes: np.ndarray, threads: int = 1) -> np.ndarray:
        """Return P(label = 1), (n,) float32, for (n, width) codes of bases."""
        starts = range(0, len(codes), _BLOCK // max(1, threads))
        if not len(codes):
            return np.empty(0, np.float32)

        def answer(start: int) -> np.ndarray:
            block = np.asarray(codes[start : start + starts.step])
            return self.estimator.predict_proba(kmer_counts(block, self.k).astype(np.float32))[:, 1]

        from threadpoolctl import threadpool_limits

        # Blocks of rows are shared out, not trees: trees summed in another order would round otherwise.
        with ThreadPoolExecutor(max(1, threads)) as pool, threadpool_limits(1):
            return np.concatenate(list(pool.map(answer, starts))).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write `model.skops`."""
        import skops.io

        try:
            skops.io.dump(self.estimator, folder / MODEL, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
        except OSError as error:
            raise OutputError(f"The model cannot be written to {folder}: {error}.") from None

    @classmethod
    def load(cls, folder: Path, k: int) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is something else, names other types than such a model has, or holds broken trees.
        """
        import skops.io

        path = require_file(folder / MODEL, "model file")
        odd = sorted(_types_named(path) - _PLAIN - cls._types)
        if odd:
            raise InputError(
                f"this model file asks for {odd[0]}, which no {cls.__name__} needs; it was not loaded", path=path,
                advice="Use only model files that NeanDL wrote.",
            )
        try:
            model = cls(k, skops.io.load(path, trusted=sorted(cls._types)))
            sound = model._sound()
        except _UNREADABLE as error:
            raise InputError(f"this model file is damaged ({error})", path=path, advice="Train it again.") from None
        if not sound:
            raise InputError(f"this model file does not hold a sound {cls.__name__} on {k}-mers", path=path,
                             advice="Train it again.")
        return model

    def _sound(self) -> bool:
        """Return whether every question asks for a count that there is, and leads on to a later node."""
        size = 4**self.k
        if self.estimator.n_features_in_ != size or list(self.estimator.classes_) != [0, 1]:
            return False
        found = False
        for left, right, feature, leaf in self._trees():
            asking = np.flatnonzero(~leaf)
            for child in (left[asking].astype(np.int64), right[asking].astype(np.int64)):
                if (child <= asking).any() or (child >= len(leaf)).any():
                    return False
            if (feature[asking] < 0).any() or (feature[asking] >= size).any():
                return False
            found = True
        return found


class KmerForest(TreeModel):
    """A random forest: fully grown trees on bootstrap samples, as published."""

    _types = frozenset({
        "sklearn.ensemble._forest.RandomForestClassifier", "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._tree.Tree",
    })

    @classmethod
    def fit(
        cls, codes: np.ndarray, labels: np.ndarray, k: int, *, trees: int, depth: int | None, seed: int, threads: int,
        tell: Callable[[float], None], leaves: int = 0, learning_rate: float = 0,
    ) -> Self:
        """Grow a forest; parameters as of `TreeModel.fit`."""
        from sklearn.ensemble import RandomForestClassifier

        counts = counts_for_fit(codes, k, bytes_each=4)
        forest = RandomForestClassifier(0, max_depth=depth, random_state=seed, n_jobs=threads, warm_start=True)
        step = max(1, trees // 20)
        for grown in range(step, trees + step, step):
            # Grown by and by for the progress bar; the trees are those of a single call.
            forest.set_params(n_estimators=min(grown, trees)).fit(counts, labels)
            tell(min(grown, trees) / trees)
        return cls(k, forest.set_params(warm_start=False, n_jobs=1))

    def _trees(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        for one in self.estimator.estimators_:
            tree = one.tree_
            yield tree.children_left, tree.children_right, tree.feature, tree.children_left == -1

    def importances(self) -> np.ndarray:
        """Return each tree's decrease of impurity by k-mer, (trees, 4**k); trees without a question are left out."""
        grown = [one for one in self.estimator.estimators_ if one.tree_.node_count > 1]
        return np.array([one.feature_importances_ for one in grown] or [np.zeros(4**self.k)])

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the importance of each k-mer with its spread over trees, largest first (`schemas.IMPORTANCES`).

        The importance is the share of all impurity that questions about the k-mer remove (Breiman 2001, as in
        scikit-learn), the spread its standard deviation over trees.
        """
        shares = self.importances()
        words = [kmer_text(kmer, self.k) for kmer in range(4**self.k)]
        table = pd.DataFrame({
            "kmer": words, "importance": shares.mean(axis=0), "spread": shares.std(axis=0),
            "gc": [(word.count("G") + word.count("C")) / self.k for word in words],
        })
        return {IMPORTANCES_FILE: table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)}


class KmerBoosting(TreeModel):
    """Gradient boosting: small trees, each fitted to what those before it left over."""

    _types = frozenset({
        "sklearn._loss._loss.CyHalfBinomialLoss", "sklearn._loss.link.Interval", "sklearn._loss.link.LogitLink",
        "sklearn._loss.loss.HalfBinomialLoss", "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", "sklearn.preprocessing._label.LabelEncoder",
    })

    @classmethod
    def fit(
        cls, codes: np.ndarray, labels: np.ndarray, k: int, *, trees: int, depth: int | None, leaves: int,
        learning_rate: float, seed: int, threads: int, tell: Callable[[float], None],
    ) -> Self:
        """Fit a row of trees; parameters as of `TreeModel.fit`."""
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits

        counts = counts_for_fit(codes, k, bytes_each=13)
        model = HistGradientBoostingClassifier(
            learning_rate=learning_rate, max_iter=trees, max_leaf_nodes=leaves, max_depth=depth, early_stopping=False,
            random_state=seed,
        )
        with threadpool_limits(threads):
            model.fit(counts, labels)
        tell(1.0)
        # The generator drew what it had to; without it the file names fewer types.
        model._feature_subsample_rng = None
        return cls(k, model)

    def _trees(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        for (one,) in self.estimator._predictors:
            nodes = one.nodes
            if nodes["is_categorical"].any():
                raise ValueError("counts are no categories")
            yield nodes["left"], nodes["right"], nodes["feature_idx"], nodes["is_leaf"] == 1

    def importances(self) -> np.ndarray:
        """Return the gain by k-mer as shares of all gain, (1, 4**k): each tree mends the one before, so none stands
        for itself.
        """
        gain = np.zeros(4**self.k)
        for (one,) in self.estimator._predictors:
            asking = one.nodes[one.nodes["is_leaf"] == 0]
            gain += np.bincount(asking["feature_idx"], np.maximum(asking["gain"], 0), 4**self.k)
        return gain[None] / (gain.sum() or 1.0)


def counts_for_fit(codes: np.ndarray, k: int, bytes_each: int) -> np.ndarray:
    """Return the counts that a model is fitted to, (n, 4**k) float32.

    Parameters
    ----------
    codes, k
        Examples and k-mer length.
    bytes_each
        Memory that the fit needs for each count: 4 for the counts themselves, more if the method makes copies.

    Raises
    ------
    SettingsError
        If that comes to more than 16 GB.
    """
    need = len(codes) * 4**k * bytes_each
    if need > COUNTS_BYTES:
        raise SettingsError(
            f"train: counts of {4**k:,} k-mers in {len(codes):,} examples need {need / 1e9:.0f} GB of memory. "
            "Use a smaller k or a smaller --most-examples."
        )
    return kmer_counts(codes, k).astype(np.float32)


def _types_named(path: Path) -> set[str]:
    """Return the types that a skops file asks for, without making anything of it."""
    found: set[str] = set()

    def look(node: Any) -> None:
        if isinstance(node, dict):
            if "__class__" in node or "__module__" in node or "__loader__" in node:
                found.add(f"{node.get('__module__')}.{node.get('__class__')}")
            for value in node.values():
                look(value)
        elif isinstance(node, list):
            for value in node:
                look(value)

    try:
        with zipfile.ZipFile(path) as archive:
            look(json.loads(archive.read("schema.json")))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, RecursionError, NotImplementedError) as error:
        raise InputError(f"this is not a skops model file ({error})", path=path, advice="Train it again.") from None
    return found

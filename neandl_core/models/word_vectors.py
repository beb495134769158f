"""word2vec on k-mers: vectors from the company that k-mers keep, and a classifier on the mean vector of an example.

An example is a sentence of overlapping k-mers. Vectors are learnt by gensim (CBOW, Mikolov et al. 2013) without
labels; logistic regression on the mean vector then uses the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from neandl_core.encoding import kmer_codes, kmer_text
from neandl_core.errors import InputError, SettingsError
from neandl_core.files import read_json, require_file, write_json
from neandl_core.models.arrays import WEIGHTS, check_arrays, read_arrays, write_arrays
from neandl_core.models.solved import SolvedModel

VOCABULARY = "vocabulary.json"
PENALTY_C = 1.0
"""Inverse strength of the L2 penalty on the classifier's weights."""
_BLOCK = 4096


@dataclass(frozen=True)
class KmerVectors(SolvedModel):
    """Vectors and a classifier on their mean.

    Attributes
    ----------
    k
        k-mer length.
    kmers, counts
        (m,) int64: the k-mers that have a vector, as numbers, and how often each came; most frequent first.
    vectors
        (m, size) float32.
    weights, intercept
        (size,) and (1,) float32: what a mean vector adds to the log-odds of label 1.
    """

    k: int
    kmers: np.ndarray
    counts: np.ndarray
    vectors: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray

    engine: ClassVar[str] = "gensim, numpy"

    @property
    def parameters(self) -> int:
        """Numbers of all vectors, and the classifier's."""
        return self.vectors.size + self.weights.size + 1

    @property
    def words(self) -> list[str]:
        """The k-mers as text, in the order of the vectors."""
        return [kmer_text(int(kmer), self.k) for kmer in self.kmers]

    def means(self, codes: np.ndarray) -> np.ndarray:
        """Return the mean vector of each example's k-mers, (n, size) float32; zeros where none has a vector."""
        table = np.zeros((4**self.k + 1, self.vectors.shape[1]), np.float32)
        table[self.kmers] = self.vectors
        known = np.zeros(4**self.k + 1, bool)
        known[self.kmers] = True
        result = np.empty((len(codes), self.vectors.shape[1]), np.float32)
        for start in range(0, len(codes), 256):
            kmers = kmer_codes(np.asarray(codes[start : start + 256]), self.k)
            number = np.maximum(known[kmers].sum(axis=1), 1)
            result[start : start + 256] = table[kmers].sum(axis=1) / number[:, None]
        return result

    @property
    def answers(self) -> np.ndarray:
        """(4**k + 1,) log-odds that the classifier gives each k-mer's vector; 0 for k-mers without one, and for N.

        The classifier is linear: the mean of its answers to k-mers is its answer to their mean.
        """
        answers = np.zeros(4**self.k + 1)
        answers[self.kmers] = self.vectors.astype(float) @ self.weights
        return answers

    def shares(self, codes: np.ndarray) -> np.ndarray:
        """Return what each k-mer adds to an example's log-odds, (n, width - k + 1) float64, beside the intercept."""
        known = np.zeros(4**self.k + 1, bool)
        known[self.kmers] = True
        kmers = kmer_codes(np.asarray(codes), self.k)
        number = np.maximum(known[kmers].sum(axis=1, keepdims=True), 1)
        return self.answers[kmers] / number

    def probabilities(self, codes: np.ndarray, threads: int = 1) -> np.ndarray:
        """Return P(label = 1), (n,) float32, for (n, width) codes of bases."""
        result = np.empty(len(codes), np.float32)
        for start in range(0, len(codes), _BLOCK):
            shares = self.shares(codes[start : start + _BLOCK])
            log_odds = shares.sum(axis=1) + self.intercept[0]
            result[start : start + len(shares)] = 1 / (1 + np.exp(-np.clip(log_odds, -60, 60)))
        return result

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `vocabulary.json`: k-mer -> count, in the order of the vectors."""
        write_arrays(
            folder / WEIGHTS, {"vectors": self.vectors, "weights": self.weights, "intercept": self.intercept}
        )
        write_json(folder / VOCABULARY, dict(zip(self.words, self.counts.tolist(), strict=True)))

    @classmethod
    def load(cls, folder: Path, k: int) -> Self:
        """Read what `save` wrote; InputError if it is something else."""
        path = require_file(folder / VOCABULARY, "vocabulary")
        words = read_json(path)
        sound = isinstance(words, dict) and words and all(
            len(word) == k and set(word) <= set("ACGT") and isinstance(count, int) and count > 0
            for word, count in words.items()
        )
        if not sound:
            raise InputError(f"expected {k}-mers and how often each came", path=path, advice="Train the model again.")
        arrays = read_arrays(folder / WEIGHTS)
        size = arrays["vectors"].shape[1] if arrays.get("vectors", np.empty(0)).ndim == 2 else 0
        shapes = {"vectors": (len(words), size), "weights": (size,), "intercept": (1,)}
        check_arrays(arrays, shapes, folder / WEIGHTS)
        digits = str.maketrans("ACGT", "0123")
        kmers = np.array([int(word.translate(digits), 4) for word in words], np.int64)
        return cls(k, kmers, np.array(list(words.values()), np.int64), **arrays)


class _Sentences:
    """Examples as sentences of k-mers, made as they are read; k-mers with an N are left out."""

    def __init__(self, codes: np.ndarray, k: int, on_pass: Callable[[], None]) -> None:
        self._codes, self._k, self._on_pass = codes, k, on_pass
        # One text for each k-mer that occurs, shared by all sentences.
        self._words: dict[int, str] = {}

    def __iter__(self) -> Iterator[list[str]]:
        unknown, words = 4**self._k, self._words
        for start in range(0, len(self._codes), 1024):
            kmers = kmer_codes(np.asarray(self._codes[start : start + 1024]), self._k)
            for kmer in np.unique(kmers).tolist():
                if kmer not in words:
                    words[kmer] = kmer_text(kmer, self._k)
            for row in kmers.tolist():
                yield [words[kmer] for kmer in row if kmer != unknown]
        self._on_pass()


def fit_kmer_vectors(
    codes: np.ndarray, labels: np.ndarray, k: int, *, vector_size: int, context: int, min_count: int, epochs: int,
    learning_rate: float, seed: int, tell: Callable[[float], None],
) -> KmerVectors:
    """Learn vectors from the examples, and the classifier from their labels.

    One thread does it, as with more the numbers would depend on which comes first.

    Parameters
    ----------
    codes, labels
        (n, width) codes of bases, (n,) of 0 and 1.
    k
        k-mer length.
    vector_size
        Numbers of a vector; 100 as published.
    context
        k-mers before and after one that are taken as its surroundings.
    min_count
        k-mers that come less often get no vector; 2 as published.
    epochs, learning_rate
        Passes over the sentences, and gensim's starting rate.
    seed
        Of the starting vectors and of the draws in training.
    tell
        Told of the share of passes done.

    Raises
    ------
    SettingsError
        If no k-mer is frequent enough.
    """
    from gensim.models import Word2Vec
    from sklearn.linear_model import LogisticRegression

    passes = 0

    def on_pass() -> None:
        nonlocal passes
        passes += 1
        tell(min(0.95, passes / (epochs + 1)))

    sentences = _Sentences(codes, k, on_pass)
    trained = Word2Vec(
        vector_size=vector_size, window=context, min_count=min_count, workers=1, seed=seed, epochs=epochs,
        alpha=learning_rate,
    )
    trained.build_vocab(sentences)
    if not len(trained.wv):
        raise SettingsError(f"train: no k-mer comes {min_count:,} times; use a smaller --min-count or k.")
    trained.train(sentences, total_examples=trained.corpus_count, epochs=epochs)
    words = trained.wv.index_to_key
    digits = str.maketrans("ACGT", "0123")
    kmers = np.array([int(word.translate(digits), 4) for word in words], np.int64)
    counts = np.array([trained.wv.get_vecattr(word, "count") for word in words], np.int64)
    vectors = np.ascontiguousarray(trained.wv.vectors, np.float32)
    blank = np.zeros(vector_size, np.float32)
    means = KmerVectors(k, kmers, counts, vectors, blank, blank[:1]).means(codes)
    centre, spread = means.mean(axis=0, dtype=float), means.std(axis=0, dtype=float)
    spread[spread == 0] = 1
    classifier = LogisticRegression(C=PENALTY_C, max_iter=1000, tol=1e-3).fit((means - centre) / spread, labels)
    weights = classifier.coef_[0] / spread
    intercept = np.array([classifier.intercept_[0] - centre @ weights], np.float32)
    return KmerVectors(k, kmers, counts, vectors, weights.astype(np.float32), intercept)

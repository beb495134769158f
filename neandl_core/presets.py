"""The presets: which models there are, their published settings, and which of those can be changed."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "bilstm": {"epochs": 5, "batch_size": 256, "learning_rate": 3e-3, "hidden": 10},
    "cnn-shallow": {"epochs": 20, "batch_size": 32, "learning_rate": 0.01, "reverse_complements": True},
    "cnn-deep": {"epochs": 50, "batch_size": 256, "learning_rate": 0.01, "reverse_complements": True},
    "cnn-windows": {
        "epochs": 10, "batch_size": 128, "learning_rate": 1e-3, "filters": 64, "hidden": 32,
        "reverse_complements": True,
    },
    "bag-of-kmers-mlp": {
        "epochs": 200, "batch_size": 32, "learning_rate": 1e-4, "k": 5, "hidden": 3000, "l1": 1e-5,
    },
    "bag-of-kmers-forest": {"epochs": 1, "batch_size": 4096, "learning_rate": 1.0, "k": 5, "trees": 500,
                            "most_examples": 50_000},
    "boosting": {"epochs": 1, "batch_size": 4096, "learning_rate": 0.1, "k": 5, "trees": 100, "leaves": 31,
                 "most_examples": 100_000},
    "word2vec": {"epochs": 5, "batch_size": 4096, "learning_rate": 0.025, "k": 5, "vector_size": 100, "context": 5,
                 "min_count": 2, "most_examples": 100_000},
    "logistic": {"epochs": 1, "batch_size": 4096, "learning_rate": 1.0, "k": 5, "most_examples": 100_000},
    **{
        name: {"epochs": 8, "batch_size": 128, "learning_rate": 3e-4}
        for name in ("ends", "ends-reference", "ends-quality")
    },
}
"""Settings of each preset. Those that are no options of it (below) are placeholders without effect."""

_STEPS = ("epochs", "batch_size", "learning_rate")
OPTIONS: dict[str, tuple[str, ...]] = {
    "bilstm": (*_STEPS, "k", "hidden", "reverse_complements"),
    "cnn-shallow": (*_STEPS, "reverse_complements"),
    "cnn-deep": (*_STEPS, "reverse_complements"),
    "cnn-windows": (*_STEPS, "filters", "hidden", "reverse_complements"),
    "bag-of-kmers-mlp": (*_STEPS, "k", "hidden", "l1", "reverse_complements"),
    "bag-of-kmers-forest": ("k", "trees", "depth", "most_examples", "reverse_complements"),
    "boosting": ("k", "trees", "depth", "leaves", "learning_rate", "most_examples", "reverse_complements"),
    "word2vec": (
        "k", "vector_size", "context", "min_count", "epochs", "learning_rate", "most_examples", "reverse_complements",
    ),
    "logistic": ("k", "most_examples", "reverse_complements"),
    **dict.fromkeys(("ends", "ends-reference", "ends-quality"), _STEPS),
}
"""What can be changed of each preset, in the order of a form; anything else is refused."""

PUBLISHED: dict[str, str] = {
    "bilstm": "99.4% validation accuracy, random split, which leaks",
    "bag-of-kmers-mlp": "82% accuracy on reads, random split",
    "cnn-shallow": "81.5% accuracy on 76-base reads, random split",
    "cnn-deep": "83.6 to 83.9% accuracy on 76-base reads, random split",
}
"""What was published for a preset, in words; the split is said as it decides what a score means."""

PRESET_TEXT: dict[str, str] = {
    "bilstm": "BiLSTM on 10-mers, the published network: embedding 10, bidirectional LSTM 10, dense 10, RMSprop. "
    f"Published: {PUBLISHED['bilstm']}. Batches of 256 at a rate of 0.003 here, "
    "of 32 at 0.001 as published: as good, and many times faster.",
    "cnn-shallow": "Shallow CNN on one-hot bases: two convolutions of 32 filters, pooling, dense 16, SGD. "
    f"Published: {PUBLISHED['cnn-shallow']}.",
    "cnn-deep": "Deep CNN on one-hot bases: three blocks of 32, 64 and 128 filters with batch normalisation and "
    f"dropout, dense 128, SGD with a falling rate. Published: {PUBLISHED['cnn-deep']}.",
    "cnn-windows": "CNN for windows cut at any place: filters 15 bases wide, then the strongest and the mean answer of "
    "each over the window, so a motif counts wherever it lies. Not published before.",
    "bag-of-kmers-mlp": "Counts of all 1,024 5-mers into one dense layer of 3,000 sigmoid units with an L1 penalty, "
    f"SGD. Published: {PUBLISHED['bag-of-kmers-mlp']}, with 20% for validation; here that is the dataset's own "
    "validation part.",
    "bag-of-kmers-forest": "Random forest of 500 trees on the counts of all 1,024 5-mers; says which k-mers it used. "
    "Published: AT-rich k-mers on top (AAAAA, CAAAAA, CATTT, TTTTT).",
    "boosting": "Gradient-boosted trees on k-mer counts: the strongest usual method for tables of counts. Not "
    "published before.",
    "word2vec": "Vectors of 5-mers learnt from their neighbours (100 numbers each), then logistic regression on a "
    "window's mean vector. Published: maps of the 1,024 5-mers, in which GC-rich and AT-rich ones lie apart.",
    "logistic": "Logistic regression on k-mer counts: the baseline that a network must beat. Not "
    "published before.",
    "ends": "Both ends of a read: weights by distance from either end and a small CNN. Needs no reference. "
    "Not published before.",
    "ends-reference": "Both ends of a read with the reference bases under them; begins as the PMD score, its "
    "weights of damaged bases fitted to the training reads. Not published before.",
    "ends-quality": "As ends-reference; a damaged base counts by its quality. Not published before.",
}

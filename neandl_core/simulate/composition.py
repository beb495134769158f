"""Sequence composition: Markov chains that differ in their k-mers and agree in their GC content.

A base follows the three before it (order 3). Each class of sequence has its own preferences among 4-mers; for each
class and each GC content a bias between G/C and A/T is solved for, so that the chain's long-run GC content is exactly
the one asked for. A classifier that looks at GC alone therefore learns nothing, one that looks at k-mers does.
"""

from __future__ import annotations

import numpy as np

ORDER = 3
CONTEXTS = 4**ORDER
BACKGROUND, INTROGRESSED, DEPLETED = 0, 1, 2
CLASS_NAMES = ("background", "introgressed", "depleted")
GC_LEVELS = np.round(np.arange(0.36, 0.5501, 0.01), 2)
"""GC contents that an isochore can have."""
LANE = 1000
"""Bases of one Markov walk; thousands of walks advance side by side."""
BASES = np.frombuffer(b"ACGT", np.uint8)
N = ord("N")

_COMMON_SPREAD = 0.15
"""Standard deviation of the 4-mer preferences (natural log) that all classes share."""
_CPG_PENALTY = 1.2
"""CpG is rare in mammals because methylated C decays; e**-1.2 is 0.3 of what chance gives."""
_CLASS_SPREAD = 0.088
"""Standard deviation of the preferences that tell the classes apart. Tuned, at the default genome size, to an
AUC of 0.90 on a held-out chromosome for a logistic regression on the 5-mers of 200-base windows."""
_WARM_UP = 25


def _strand_symmetric(rng: np.random.Generator) -> np.ndarray:
    """Return one normal preference per 4-mer, equal for a 4-mer and its reverse complement, mean 0, deviation 1."""
    codes = np.arange(4 ** (ORDER + 1))
    digits = np.stack([(codes >> (2 * place)) & 3 for place in range(ORDER, -1, -1)])
    reverse = np.zeros_like(codes)
    for digit in digits[::-1]:
        reverse = reverse * 4 + (3 - digit)
    values = rng.normal(size=codes.size)
    values = values[np.minimum(codes, reverse)]
    return (values - values.mean()) / values.std()


def _stationary_gc(transitions: np.ndarray) -> np.ndarray:
    """Return the long-run GC content of each chain.

    Parameters
    ----------
    transitions : (chains, 64, 4) float array
        P(next base | the three before it).
    """
    chains = transitions.shape[0]
    state = np.full((chains, CONTEXTS), 1 / CONTEXTS)
    for _ in range(60):
        flow = (state[:, :, None] * transitions).reshape(chains, 4, CONTEXTS // 4, 4)
        # The oldest base of the context drops out: contexts that differ only there lead to the same next one.
        state = flow.sum(axis=1).reshape(chains, CONTEXTS)
    last = state.reshape(chains, CONTEXTS // 4, 4).sum(axis=1)
    return last[:, 1] + last[:, 2]


def chain_tables(rng: np.random.Generator) -> np.ndarray:
    """Make the Markov chains of every class at every GC level.

    Returns
    -------
    (3, len(GC_LEVELS), 64, 4) float64 array
        P(next base | context), where a context is the code of the three bases before, A C G T = 0 1 2 3.
    """
    common = _COMMON_SPREAD * _strand_symmetric(rng)
    difference = _CLASS_SPREAD * _strand_symmetric(rng)
    codes = np.arange(common.size)
    common[(codes & 15) == 0b0110] -= _CPG_PENALTY
    preferences = np.stack([common, common + difference, common - difference]).reshape(3, 1, CONTEXTS, 4)
    preferences = np.broadcast_to(preferences, (3, GC_LEVELS.size, CONTEXTS, 4)).reshape(-1, CONTEXTS, 4)
    target = np.tile(GC_LEVELS, 3)
    low, high = np.full(target.size, -3.0), np.full(target.size, 3.0)
    strong = np.array([0.0, 1.0, 1.0, 0.0])

    def transitions(bias: np.ndarray) -> np.ndarray:
        weights = np.exp(preferences + bias[:, None, None] * strong)
        return weights / weights.sum(axis=2, keepdims=True)

    for _ in range(30):
        middle = (low + high) / 2
        too_low = _stationary_gc(transitions(middle)) < target
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    return transitions((low + high) / 2).reshape(3, GC_LEVELS.size, CONTEXTS, 4)


def draw_sequence(
    tables: np.ndarray, classes: np.ndarray, gc_levels: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw a sequence whose composition follows a class and a GC level given per base.

    The sequence is drawn in lanes of 1,000 bases side by side, each with its own warm-up, so that only lane borders
    carry no memory of what stands before them.

    Parameters
    ----------
    tables : (3, levels, 64, 4) float array
        From `chain_tables`.
    classes, gc_levels : (length,) uint8 arrays
        Class and index into `GC_LEVELS` of each base.

    Returns
    -------
    (length,) uint8 array of base codes 0-3.
    """
    length = classes.size
    lanes = -(-length // LANE)
    chain = classes.astype(np.int32) * tables.shape[1] + gc_levels
    padded = np.pad(chain, (0, lanes * LANE - length), mode="edge")
    padded = np.ascontiguousarray(padded.reshape(lanes, LANE).T)
    limits = np.cumsum(tables.reshape(-1, 4), axis=1)[:, :3].astype(np.float32)
    drawn = np.empty((LANE, lanes), np.uint8)
    context = rng.integers(0, CONTEXTS, lanes)
    for step in range(-_WARM_UP, LANE):
        row = limits[padded[max(step, 0)] * CONTEXTS + context]
        base = (rng.random(lanes, dtype=np.float32)[:, None] > row).sum(axis=1)
        context = (context * 4 + base) % CONTEXTS
        if step >= 0:
            drawn[step] = base
    return drawn.T.reshape(-1)[:length]

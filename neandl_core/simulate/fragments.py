"""Simulated fragments as arrays: where they lie, how they are damaged, how the sequencer misreads them.

All arrays hold bases in the orientation of the reference, as a BAM does. A flat array holds the bases of all reads
one after the other; `owner` says whose each base is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neandl_core.simulate.composition import BASES, N

PLAIN, DELETION, INSERTION, CLIP_LEFT, CLIP_RIGHT = range(5)
_KIND_SHARES = (0.955, 0.0075, 0.0075, 0.015, 0.015)
_READ_N_RATE = 0.0004
_VARIANT_RATE = 1e-3
"""Homozygous single-base differences of an individual from the reference, per base: human diversity's order."""
_A, _C, _G, _T = BASES
_CODE = np.zeros(256, np.uint8)
_CODE[BASES] = np.arange(4, dtype=np.uint8)


@dataclass(frozen=True)
class Damage:
    """Post-mortem damage of a double-stranded library, after Briggs et al. 2007 (PNAS 104:14616-14621).

    A fragment ends in a single-stranded 5' overhang of geometric length, P(overhang > i) = (1 - lambda)^(i + 1) for
    i = 0, 1, 2... Cytosines in it are deaminated with probability `delta_s`, elsewhere with `delta_d`. The overhang
    of the opposite strand is filled in opposite the uracils, so the 3' end shows the mirror image as G>A::

        P(C>T at i bases from the 5' end) = P(G>A at i bases from the 3' end)
                                          = delta_s (1 - lambda)^(i+1) + delta_d (1 - (1 - lambda)^(i+1))

    Simpler than the original in one point: Briggs et al. also place a nick, before which C>T and behind which G>A is
    seen at `delta_d`; here both are seen at `delta_d` all along the double-stranded part.
    """

    termination: float = 0.30
    """lambda: probability that the overhang ends at each next base."""
    delta_s: float = 0.45
    delta_d: float = 0.012

    def expected(self, positions: int) -> np.ndarray:
        """Return the share of C read as T at 0, 1, ... bases from the 5' end; (positions,) floats."""
        in_overhang = (1 - self.termination) ** (np.arange(positions) + 1)
        return in_overhang * self.delta_s + (1 - in_overhang) * self.delta_d


@dataclass(frozen=True)
class Fragments:
    """Reads as drawn, before flags and names. `n` reads, `total` bases.

    Attributes
    ----------
    contig, start : (n,) int64
        Index of the contig and first aligned reference base, 0-based.
    length : (n,) int64
        Bases of the read, soft clips included.
    reverse : (n,) bool
    kind, at, size : (n,) int64
        Indel or clip: what, before which base of the fragment, how many bases.
    bases, qualities : (total,) uint8
        ASCII base, Phred quality.
    reference : (total,) uint8
        Reference base under each read base; 0 under inserted and clipped ones.
    """

    contig: np.ndarray
    start: np.ndarray
    length: np.ndarray
    reverse: np.ndarray
    kind: np.ndarray
    at: np.ndarray
    size: np.ndarray
    bases: np.ndarray
    qualities: np.ndarray
    reference: np.ndarray


class Reference:
    """All contigs end to end, for drawing places and looking bases up by one index."""

    def __init__(self, sequences: dict[str, np.ndarray]) -> None:
        self.names = list(sequences)
        self.lengths = np.array([sequence.size for sequence in sequences.values()], np.int64)
        self.offsets = np.concatenate(([0], np.cumsum(self.lengths)))[:-1]
        self.bases = np.concatenate(list(sequences.values()))
        self._gaps = np.concatenate(([0], np.cumsum(self.bases == N)))

    def individual(self, rng: np.random.Generator) -> np.ndarray:
        """Return the genome of an individual: the reference with about one substitution per 1,000 bases."""
        genome = self.bases.copy()
        sites = np.flatnonzero(rng.random(genome.size, dtype=np.float32) < _VARIANT_RATE)
        sites = sites[genome[sites] != N]
        genome[sites] = other_base(genome[sites], rng)
        return genome

    def draw_places(
        self, spans: np.ndarray, mitochondrial_share: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw contig and start of fragments that cover no N; the last contig is the mitochondrion.

        Parameters
        ----------
        spans : (n,) int64 array
            Reference bases that each fragment covers.
        """
        weights = self.lengths / self.lengths[:-1].sum() * (1 - mitochondrial_share)
        weights[-1] = mitochondrial_share
        contig = rng.choice(self.lengths.size, spans.size, p=weights)
        start = np.empty(spans.size, np.int64)
        todo = np.arange(spans.size)
        while todo.size:
            room = self.lengths[contig[todo]] - spans[todo]
            start[todo] = (rng.random(todo.size) * (room + 1)).astype(np.int64)
            first = self.offsets[contig[todo]] + start[todo]
            todo = todo[self._gaps[first + spans[todo]] > self._gaps[first]]
        return contig, start


def other_base(bases: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return, for each ASCII base, one of the three others."""
    return BASES[(_CODE[bases] + rng.integers(1, 4, bases.size, dtype=np.uint8)) % 4]


def flat_index(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for reads laid end to end, whose each base is and its place in that read."""
    owner = np.repeat(np.arange(lengths.size), lengths)
    ends = np.cumsum(lengths)
    return owner, np.arange(owner.size) - np.repeat(ends - lengths, lengths)


def deaminate(
    bases: np.ndarray, place: np.ndarray, from_right: np.ndarray, owner: np.ndarray, damaged: np.ndarray,
    damage: Damage, rng: np.random.Generator,
) -> np.ndarray:
    """Return the bases of fragments after deamination.

    In the reference's orientation the left end shows C>T and the right end G>A whichever strand was read: turning
    a reverse read around swaps both the ends and the bases.

    Parameters
    ----------
    bases, place, from_right, owner : (total,) arrays
        Base, distance from the left and from the right end of the fragment, index of the fragment.
    damaged : (n,) bool array
        Which fragments are ancient.
    """
    # numpy counts trials until the first success, so one less is the overhang's length.
    overhang = rng.geometric(damage.termination, (2, damaged.size)) - 1
    chance = rng.random(bases.size)
    left = np.where(place < overhang[0][owner], damage.delta_s, damage.delta_d)
    right = np.where(from_right < overhang[1][owner], damage.delta_s, damage.delta_d)
    ancient = damaged[owner]
    changed = np.where(ancient & (bases == _C) & (chance < left), _T, bases)
    return np.where(ancient & (bases == _G) & (chance < right), _A, changed)


def draw_fragments(
    reference: Reference,
    genomes: tuple[np.ndarray, np.ndarray],
    ancient: np.ndarray,
    lengths: np.ndarray,
    damage: Damage,
    mitochondrial_share: float,
    rng: np.random.Generator,
) -> Fragments:
    """Draw fragments from two individuals, damage the ancient ones, and sequence them.

    Parameters
    ----------
    genomes
        The ancient and the modern individual's, each as long as `reference.bases`.
    ancient : (n,) bool array
        Whose each fragment is.
    lengths : (n,) int64 array
        Bases of each read, soft clips included; at least 30.
    """
    count, read_lengths = lengths.size, lengths
    kind = rng.choice(len(_KIND_SHARES), count, p=_KIND_SHARES)
    size = np.where(kind >= CLIP_LEFT, rng.integers(2, 9, count), rng.integers(1, 3, count))
    size[kind == PLAIN] = 0
    # Soft-clipped bases are remains of an adapter outside the fragment: damage counts from the fragment's own ends.
    clip_left, clip_right = size * (kind == CLIP_LEFT), size * (kind == CLIP_RIGHT)
    lengths = read_lengths - clip_left - clip_right
    at = (lengths * rng.uniform(0.3, 0.7, count)).astype(np.int64)
    deleted, inserted = size * (kind == DELETION), size * (kind == INSERTION)
    contig, start = reference.draw_places(lengths + deleted - inserted, mitochondrial_share, rng)
    owner, place_in_read = flat_index(read_lengths)
    place = place_in_read - clip_left[owner]
    from_right = lengths[owner] - 1 - place
    inner = (place >= 0) & (from_right >= 0)
    behind = place - at[owner]
    is_inserted = (behind >= 0) & (behind < inserted[owner])
    shift = np.where(behind >= 0, deleted[owner] - np.minimum(behind + 1, inserted[owner]), 0)
    index = (reference.offsets[contig] + start)[owner] + np.clip(place, 0, lengths[owner] - 1) + shift
    aligned = inner & ~is_inserted
    bases = np.where(ancient[owner], genomes[0][index], genomes[1][index])
    random_bases = BASES[rng.integers(0, 4, bases.size)]
    bases = np.where(aligned, bases, random_bases)
    damaged = deaminate(bases, place, from_right, owner, ancient, damage, rng)
    bases = np.where(inner, damaged, random_bases)
    reverse = rng.random(count) < 0.5
    cycle = np.where(reverse[owner], read_lengths[owner] - 1 - place_in_read, place_in_read)
    qualities = draw_qualities(cycle, owner, count, rng)
    bases, qualities = misread(bases, qualities, rng)
    return Fragments(
        contig, start, read_lengths, reverse, kind, at, size, bases, qualities,
        np.where(aligned, reference.bases[index], 0).astype(np.uint8),
    )


def draw_qualities(cycle: np.ndarray, owner: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return Phred qualities: high at first, falling with the cycle, better and worse reads, single poor bases."""
    level = 39.5 - rng.gamma(1.5, 0.8, count)
    quality = level[owner] - 0.03 * cycle - rng.exponential(1.6, cycle.size)
    poor = rng.random(cycle.size, dtype=np.float32) < 0.01
    quality -= poor * rng.uniform(8, 22, cycle.size)
    return np.clip(np.rint(quality), 8, 41).astype(np.uint8)


def misread(bases: np.ndarray, qualities: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return bases and qualities after sequencing: errors as often as each quality says, and a few N."""
    bases, qualities = bases.copy(), qualities.copy()
    chance = rng.random(bases.size)
    wrong = chance < 10.0 ** (qualities / -10.0)
    bases[wrong] = other_base(bases[wrong], rng)
    unread = chance > 1 - _READ_N_RATE
    bases[unread] = N
    qualities[unread] = 2
    return bases, qualities

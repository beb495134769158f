"""What the overlap test says in words, from its numbers alone."""

from __future__ import annotations

from typing import Any

import pandas as pd

STATISTICS: dict[str, str] = {
    "pairs": "pairs of a segment and a gene that meet",
    "genes": "distinct genes met",
    "segments_hit": "share of segments that meet a gene",
    "genic_bases": "share of segment bases that are genic",
}
"""The four statistics and what they count."""
NULLS: dict[str, str] = {
    "rotation": "all segments of a chromosome moved round together, inside the mask: their piles stay as they are",
    "mask": "every segment placed by itself, inside the mask",
    "uniform": "every segment placed by itself, anywhere on its chromosome",
    "naive": "every single segment placed by itself, anywhere on its chromosome, gaps too",
}
SIGNIFICANT = 0.05
"""Two-sided: half of it on each side."""


def describe(statistics: pd.DataFrame, counts: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of an overlap test.

    Returns
    -------
    dict
        `counts`; `statistics` and, if it was run, `naive`: statistic -> observed, expected, sd, z, p_fewer, p_more;
        `observed`, `expected`, `sd`, `z`, `p` of the pairs under the chosen null model (p: as few or fewer);
        `sentence`, `naive_sentence`.
    """
    by_null = {
        str(null): {
            str(row.statistic): {
                name: float(getattr(row, name)) for name in ("observed", "expected", "sd", "z", "p_fewer", "p_more")
            }
            for row in rows.itertuples()
        }
        for null, rows in statistics.groupby("null", sort=False)
    }
    main = by_null[counts["null"]]
    naive = by_null.get("naive")
    pairs = main["pairs"]
    return {
        **counts, "null_text": null_text(counts["null"], counts["masked"]), "statistic": "pairs",
        "observed": pairs["observed"], "expected": pairs["expected"], "sd": pairs["sd"], "z": pairs["z"],
        "p": pairs["p_fewer"], "statistics": main, "naive": naive,
        "sentence": verdict(main), "naive_sentence": naive_sentence(naive, main, counts) if naive else "",
    }


def null_text(null: str, masked: bool) -> str:
    """Say what a null model does; without a mask a rotation goes through the whole chromosome."""
    text = NULLS[null]
    return text if masked or null != "rotation" else text.replace("inside the mask", "through the whole chromosome")


def verdict(main: dict[str, dict[str, float]]) -> str:
    """Answer whether segments avoid genes, from all four statistics.

    One low statistic among four that count nearly the same is weak; only genic bases do not depend on how the
    segments are cut.
    """
    low = [name for name in STATISTICS if main[name]["p_fewer"] < SIGNIFICANT / 2]
    high = [name for name in STATISTICS if main[name]["p_more"] < SIGNIFICANT / 2]
    numbers = (
        f"{main['pairs']['observed']:,.0f} pairs against {main['pairs']['expected']:,.0f} ± {main['pairs']['sd']:,.0f} "
        f"expected (z {z_text(main['pairs']['z'])}, p {p_text(main['pairs']['p_fewer'])})"
    )
    bases = f"genic bases {main['genic_bases']['observed']:.1%} against {main['genic_bases']['expected']:.1%}"
    if "genic_bases" in low and len(low) > 1:
        return f"These segments meet fewer genes than chance: {numbers}; {bases}."
    if "genic_bases" in high and not low:
        return (
            f"These segments are richer in genes than chance, not poorer: {bases} "
            f"(z {z_text(main['genic_bases']['z'])}); {numbers}."
        )
    if low or main["pairs"]["p_fewer"] < SIGNIFICANT:
        weak = ", ".join(STATISTICS[name] for name in (low or ["pairs"]))
        return (
            f"No clear avoidance of genes: a little low in {weak}, not in the rest. {numbers[0].upper()}{numbers[1:]}; "
            f"distinct genes {main['genes']['observed']:,.0f} against {main['genes']['expected']:,.0f}; {bases}."
        )
    return f"No sign that these segments avoid genes: {numbers}; {bases}."


def naive_sentence(
    naive: dict[str, dict[str, float]], main: dict[str, dict[str, float]], counts: dict[str, Any]
) -> str:
    """Say what the naive placement would have claimed, and why it cannot be believed."""
    one = naive["pairs"]
    said = (
        f"Scattering every segment by itself gives {one['observed']:,.0f} pairs against {one['expected']:,.0f} ± "
        f"{one['sd']:,.0f} (z {z_text(one['z'])})."
    )
    depth = counts["segment_bases"] / max(1, counts["locus_bases"])
    if depth < 1.5:
        return f"{said} These segments hardly overlap, so that is a fair comparison too."
    wider = ""
    if not counts["merged"] and one["sd"] > 0:
        wider = f", {main['pairs']['sd'] / one['sd']:.0f} times as wide a spread"
    return (
        f"{said} That is pseudo-replication: the {counts['segments']:,} segments lie {depth:.1f} deep over only "
        f"{counts['loci']:,} separate loci, and a pile of the same haplotype in many people is one observation, not "
        f"many. Kept together, the piles give the result above{wider}."
    )


def p_text(p: float) -> str:
    """Write a p value without false precision."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def z_text(z: float) -> str:
    """Write a z score; without any spread of the placements there is none."""
    return "none, as all placements are alike" if z != z else f"{z:+.1f}"

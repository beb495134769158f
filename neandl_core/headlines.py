"""The one line that says what came out of a finished run, for lists of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def headline(command: str, summary: Mapping[str, Any] | None) -> str:
    """Return a run's headline from its summary; empty if there is none, or it is of another version."""
    if not summary or command not in _WRITERS:
        return ""
    try:
        return _WRITERS[command](summary)
    except (KeyError, TypeError, ValueError):
        # A run of another version may count other things; its own page says what it has.
        return ""


def _reads(summary: Mapping[str, Any]) -> str:
    return f"{summary['reads_used']:,} of {summary['reads_total']:,} reads used. {summary['sentence']}"


def _windows(summary: Mapping[str, Any]) -> str:
    audit = summary["audit"]
    seen = f"{audit['overlap_150']:.1%} of the test windows were seen in training"
    return f"{summary['windows']['total']:,} windows, {audit['split']} split: {seen}"


def _data(summary: Mapping[str, Any]) -> str:
    text = f"{len(summary['files']):,} files, {summary['bytes'] / 1e6:,.1f} MB"
    return f"{text}; {summary['windows']:,} windows" if summary.get("windows") else text


def _check(summary: Mapping[str, Any]) -> str:
    bad = sum(one["state"] == "bad" for one in summary["files"])
    return f"{len(summary['files']):,} files checked, {bad:,} of them cannot be used" if bad else (
        f"{len(summary['files']):,} files checked, no fault found"
    )


_WRITERS = {
    "data": _data,
    "check": _check,
    "simulate": lambda s: f"{s['counts']['bases']:,} bases, {s['contamination']:.1%} contamination in mixed.bam",
    "reads": _reads,
    "windows": _windows,
    "read-set": lambda s: f"{s['examples']:,} reads of both classes, median {s['length']['median']:.0f} bases",
    "train": lambda s: s["verdict"]["sentence"],
    "controls": lambda s: s["verdict"]["sentence"],
    "classify": lambda s: "{:.1%} modern (95% interval {:.1%} to {:.1%})".format(
        s["contamination"]["estimate"], *s["contamination"]["ci"]
    ),
    "interpret": lambda s: s["sentence"],
    "embed": lambda s: f"{s['points']:,} k-mers by {s['method'].upper()}, {s['seen']:,} of them seen in training",
    "genes": lambda s: f"{s['scored']:,} of {s['genes']:,} genes scored, {s['predicted']:,} called introgressed",
    "overlap": lambda s: s["sentence"],
    "export": lambda s: f"{s['figures']} figures in {len(s['files'])} files",
    "cohort": lambda s: f"{s['done']:,} of {s['samples']:,} samples, {s['damaged']:,} with ancient damage",
    "demo": lambda s: f"{len(s['steps'])} steps and {len(s['figures'])} figure files in {s['seconds']:.0f} s",
}

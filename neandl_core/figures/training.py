"""Figures of training and evaluation: learning curves, and the score beside its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neandl_core.config import LEAKY
from neandl_core.figures.style import BLUE, FAINT, GREEN, GREY, VERMILION, finish


@dataclass(frozen=True)
class ScoreRow:
    """One line of the score figure: a name, an AUC in [0, 1] with its interval, and what kind of score it is.

    `kind` is ``result`` (held out), ``leaky`` (a split that leaks) or ``baseline``.
    """

    name: str
    auc: float
    low: float
    high: float
    kind: str


_KIND_COLOUR = {"result": BLUE, "leaky": VERMILION, "baseline": GREY}
_KIND_NAME = {"result": "held out", "leaky": "leaking split", "baseline": "baseline"}


def score_figure(rows: Sequence[ScoreRow], n_test: int, model: str) -> go.Figure:
    """Draw AUCs with 95% intervals under each other, with the line of chance at 0.5.

    Parameters
    ----------
    rows
        From top to bottom.
    n_test
        Examples in the test part of the first row.
    model
        What was trained, shown in the figure.
    """
    figure = go.Figure()
    for kind, colour in _KIND_COLOUR.items():
        chosen = [row for row in rows if row.kind == kind]
        if not chosen:
            continue
        figure.add_scatter(
            x=[row.auc for row in chosen], y=[row.name for row in chosen], mode="markers",
            marker={"color": colour, "size": 11}, name=_KIND_NAME[kind],
            error_x={
                "type": "data", "symmetric": False, "thickness": 2, "width": 4, "color": colour,
                "array": [row.high - row.auc for row in chosen], "arrayminus": [row.auc - row.low for row in chosen],
            },
            hovertemplate="%{y}: AUC %{x:.3f}<extra></extra>",
        )
    figure.add_vline(x=0.5, line={"color": GREY, "width": 1, "dash": "dot"})
    low = min([0.4, *(row.low - 0.03 for row in rows)])
    figure.update_layout(
        title={"text": f"{model}, n = {n_test:,} test examples", "font": {"size": 12}},
        xaxis={"title": "AUC, with 95% interval", "range": [max(0.0, low), 1.02]},
        yaxis={"categoryorder": "array", "categoryarray": [row.name for row in reversed(rows)]},
    )
    return finish(figure, height=150 + 42 * len(rows))


def curve_figure(records: Sequence[dict[str, Any]], run: str = "main") -> go.Figure:
    """Draw training and validation loss, and validation AUC, by epoch; batches as a faint line.

    Parameters
    ----------
    records
        Lines of `metrics.jsonl`: ``kind`` is epoch or batch, ``run`` names the model they belong to.
    run
        Which model to draw.
    """
    epochs = [record for record in records if record.get("kind") == "epoch" and record.get("run") == run]
    batches = [record for record in records if record.get("kind") == "batch" and record.get("run") == run]
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.12)
    figure.add_scatter(
        x=[record["epoch"] - 1 + record["done"] for record in batches], y=[record["loss"] for record in batches],
        mode="lines", line={"color": FAINT, "width": 1}, name="batches", row=1, col=1,
    )
    number = [record["epoch"] for record in epochs]
    for key, name, colour, column in (
        ("train_loss", "training", BLUE, 1), ("val_loss", "validation", VERMILION, 1),
        ("train_accuracy", "training", BLUE, 2), ("val_accuracy", "validation", VERMILION, 2),
        ("val_auc", "validation, AUC", GREEN, 2),
    ):
        figure.add_scatter(
            x=number, y=[record.get(key) for record in epochs], mode="lines+markers", name=name, legendgroup=name,
            showlegend=column == 1 or key == "val_auc", line={"color": colour, "width": 2},
            marker={"color": colour, "size": 6}, row=1, col=column,
        )
    figure.update_xaxes(title="Epoch", rangemode="tozero", dtick=max(1, len(number) // 8))
    figure.update_yaxes(title="Loss (cross-entropy)", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="Accuracy, AUC", range=[0.4, 1.02], row=1, col=2)
    figure.update_layout(uirevision=run, legend={"font": {"size": 11}})
    return finish(figure, height=320)


def score_rows(summary: Mapping[str, Any]) -> list[ScoreRow]:
    """Return the lines of the score figure from a `train` run's summary: the model, its controls, its baselines."""
    split = summary["dataset"]["split"]
    rows = [_row(f"{split} split", summary["test"], split)]
    for name, control in summary["controls"].items():
        rows.append(_row(f"{name} split", control["test"], name))
    for name, scores in summary["baselines"].items():
        rows.append(_row(BASELINE_NAME.get(name, name), scores, split, "baseline"))
    return [row for row in rows if row.auc is not None and row.low is not None]


BASELINE_NAME = {
    "gc": "GC alone", "length": "length alone", "kmer_logistic": "5-mer logistic", "interior": "without the ends",
    "pmd": "PMD score", "quality": "quality alone",
}


def _row(name: str, scores: Mapping[str, Any], split: str, kind: str = "result") -> ScoreRow:
    low, high = scores["auc_ci"]
    return ScoreRow(name, scores["auc"], low, high, "leaky" if kind == "result" and split in LEAKY else kind)

"""Figures of how a model errs: at every threshold, in calls of either class, and by the length of a read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neandl_core.config import LEAKY
from neandl_core.figures.style import BLUE, FAINT, GREEN, GREY, VERMILION, finish, translucent
from neandl_core.figures.training import BASELINE_NAME

_RIVALS = 2
"""Baselines drawn, the best first."""


def threshold_figure(splits: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw the ROC curve and precision by recall of the model, of its control and of its best baselines.

    Parameters
    ----------
    splits
        ``splits`` of `evaluation.json`; the main one first.
    """
    main = splits[0]
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.12)
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "width": 1, "dash": "dot"}, name="guessing",
        hoverinfo="skip", row=1, col=1,
    )
    share = main["test"]["ones"] / max(1, main["test"]["n"])
    figure.add_scatter(
        x=[0, 1], y=[share, share], mode="lines", line={"color": GREY, "width": 1, "dash": "dot"}, name="guessing",
        hoverinfo="skip", showlegend=False, row=1, col=2,
    )
    known = {name: scores for name, scores in main["baselines"].items() if scores.get("auc") is not None}
    rivals = sorted(known, key=lambda name: -known[name]["auc"])[:_RIVALS]
    lines = [
        (BASELINE_NAME.get(name, name), known[name], colour, "dash")
        for name, colour in zip(rivals, (GREY, FAINT), strict=False)
    ]
    lines += [
        (f"{split['split']} split", split["test"], VERMILION if split["split"] in LEAKY else GREEN, "solid")
        for split in splits[1:]
    ]
    lines.append((f"{main['split']} split", main["test"], BLUE, "solid"))
    for name, scores, colour, dash in lines:
        style = {"mode": "lines", "line": {"color": colour, "width": 2.2 if dash == "solid" else 1.6, "dash": dash}}
        for column, (key, x, y, measure) in enumerate((
            ("roc", "false_positive_rate", "true_positive_rate", "auc"),
            ("precision_recall", "recall", "precision", "ap"),
        ), start=1):
            curve = scores.get(key)
            if curve and curve[x]:
                figure.add_scatter(
                    x=curve[x], y=curve[y], name=name, legendgroup=name, showlegend=column == 1, customdata=[
                        "above all" if at is None else f"{at:.3f}" for at in curve["threshold"]
                    ], hovertemplate=f"{name}, area {scores[measure]:.3f}<br>%{{x:.3f}}, %{{y:.3f}}<br>called from "
                                     "P %{customdata}<extra></extra>", row=1, col=column, **style,
                )
    for column, (across, up) in enumerate((
        ("False alarms (share of the other class)", "Found (share of the class)"),
        ("Found (recall)", "Right among the called (precision)"),
    ), start=1):
        figure.update_xaxes(title=across, range=[-0.01, 1.01], row=1, col=column)
        figure.update_yaxes(title=up, range=[-0.01, 1.03], row=1, col=column)
    test = main["test"]
    areas = ", ".join(
        f"{text} {test[key]:.3f}" for key, text in (("auc", "AUC"), ("ap", "average precision")) if test.get(key)
    )
    figure.update_layout(title={"text": f"n = {test['n']:,} test examples, {areas}", "font": {"size": 12}})
    return finish(figure)


def confusion_figure(table: Sequence[Sequence[int]], classes: Sequence[str], threshold: float = 0.5) -> go.Figure:
    """Draw how many of each true class were called what; a cell is the darker the larger its share of the true class.

    Parameters
    ----------
    table
        (2, 2) counts of true class (rows) by called class (columns).
    classes
        Names of class 0 and class 1.
    threshold
        P(class 1) from which class 1 was called.
    """
    figure = go.Figure()
    for true, row in enumerate(table):
        for called, count in enumerate(row):
            share = count / max(1, sum(row))
            # Corners of a cell; class 1 stands on top, as a reader looks for the found ones first.
            left, low = called, true
            figure.add_scatter(
                x=[left + 0.02, left + 0.98, left + 0.98, left + 0.02], mode="lines", fill="toself", line={"width": 0},
                y=[low + 0.03, low + 0.03, low + 0.97, low + 0.97], showlegend=False, hoverinfo="skip",
                fillcolor=translucent(BLUE if true == called else VERMILION, 0.08 + 0.5 * share),
            )
            figure.add_annotation(
                x=left + 0.5, y=low + 0.5, text=f"{count:,}<br>{share:.1%} of the {classes[true]}", showarrow=False,
                xanchor="center", yanchor="middle", font={"size": 12},
            )
    total = sum(map(sum, table))
    figure.update_layout(
        title={"text": f"n = {total:,}, called {classes[1]} from P {threshold:g}", "font": {"size": 12}},
        xaxis={"range": [0, 2], "tickvals": [0.5, 1.5], "ticktext": [f"called {name}" for name in classes],
               "showgrid": False},
        yaxis={"range": [0, 2], "tickvals": [0.5, 1.5], "ticktext": [f"are {name}" for name in classes],
               "showgrid": False},
    )
    return finish(figure, height=300)


def length_score_figure(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw accuracy and AUC of reads by their length, with 95% intervals.

    Parameters
    ----------
    rows
        ``by_length`` of `evaluation.json`.
    """
    figure = go.Figure()
    figure.add_hline(y=0.5, line={"color": GREY, "width": 1, "dash": "dot"})
    lowest = 0.5
    for key, name, colour in (("auc", "AUC", BLUE), ("accuracy", "accuracy", VERMILION)):
        known = [row for row in rows if row[key] is not None and row[f"{key}_ci"][0] is not None]
        if not known:
            continue
        middle = [(row["shortest"] + row["longest"]) / 2 for row in known]
        low, high = ([row[f"{key}_ci"][side] for row in known] for side in (0, 1))
        lowest = min(lowest, *low)
        figure.add_scatter(
            x=[*middle, *middle[::-1]], y=[*high, *low[::-1]], fill="toself", fillcolor=translucent(colour, 0.2),
            line={"width": 0}, mode="lines", hoverinfo="skip", showlegend=False, legendgroup=name,
        )
        figure.add_scatter(
            x=middle, y=[row[key] for row in known], mode="lines+markers", name=name, legendgroup=name,
            line={"color": colour, "width": 2.2}, marker={"color": colour, "size": 6},
            customdata=[(row["shortest"], row["longest"], row["n"]) for row in known],
            hovertemplate=name + " %{y:.3f}<br>%{customdata[0]} to %{customdata[1]} bases, %{customdata[2]:,} reads"
            "<extra></extra>",
        )
    figure.update_layout(
        title={"text": f"n = {sum(row['n'] for row in rows):,} test reads", "font": {"size": 12}},
        xaxis={"title": "Read length (bases)"},
        yaxis={"title": "Accuracy, AUC", "range": [max(0.0, min(0.4, lowest - 0.03)), 1.02]},
    )
    return finish(figure, height=300)

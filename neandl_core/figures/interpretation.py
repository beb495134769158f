"""Figures of what a model answers to: importance by position, k-mers, attributions, single-base changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from neandl_core.figures.style import BLUE, FAINT, GREY, VERMILION, finish, translucent
from neandl_core.schemas import (
    ENRICHED_KMERS,
    KMER_ATTRIBUTIONS,
    KMER_WEIGHTS,
    MEAN_ATTRIBUTIONS,
    MUTATIONS,
    POSITION_IMPORTANCE,
    check_table,
)

MEASURES = {"log_loss": "Rise of the log loss", "accuracy": "Accuracy lost", "auc": "AUC lost"}
_UNITS = {"k-mer": "one k-mer at a time", "bases": "stretches of bases"}


def importance_figure(table: pd.DataFrame, measure: str, windows: int, threshold: float | None = None) -> go.Figure:
    """Draw what shuffling each place costs, with its interval over loci and its spread over repeats.

    Parameters
    ----------
    table
        Table `POSITION_IMPORTANCE`, of one unit.
    measure
        One of `MEASURES`.
    windows
        Test windows behind it.
    threshold
        The published limit of importance; drawn for the accuracy alone.
    """
    check_table(table, POSITION_IMPORTANCE, "importance")
    middle = (table["start"] + table["end"] + 1) / 2
    lost, spread = table[f"{measure}_lost"], table[f"{measure}_spread"].fillna(0)
    figure = go.Figure()
    if measure != "auc" and table[f"{measure}_low"].notna().all():
        figure.add_scatter(
            x=pd.concat([middle, middle[::-1]]),
            y=pd.concat([table[f"{measure}_high"], table[f"{measure}_low"][::-1]]), fill="toself", mode="lines",
            line={"width": 0}, fillcolor=translucent(BLUE, 0.18), hoverinfo="skip", name="95% interval over loci",
        )
    figure.add_scatter(
        x=pd.concat([middle, middle[::-1]]), y=pd.concat([lost + spread, (lost - spread)[::-1]]), fill="toself",
        mode="lines", line={"width": 0}, fillcolor=translucent(VERMILION, 0.25), hoverinfo="skip",
        name="spread over shuffles",
    )
    figure.add_scatter(
        x=middle, y=lost, mode="lines", line={"color": BLUE, "width": 2}, name="mean",
        customdata=np.stack([table["start"] + 1, table["end"]], axis=1),
        hovertemplate="bases %{customdata[0]} to %{customdata[1]}: %{y:.4f}<extra></extra>",
    )
    if threshold is not None and measure == "accuracy":
        figure.add_hline(y=threshold, line={"color": VERMILION, "width": 1, "dash": "dot"})
    figure.add_hline(y=0, line={"color": FAINT, "width": 1})
    unit = _UNITS[str(table["unit"].iloc[0])]
    figure.update_layout(
        title={"text": f"n = {windows:,} test windows, {unit}", "font": {"size": 12}},
        xaxis={"title": "Position in the window (bases)", "range": [0.5, float(table["end"].max()) + 0.5]},
        yaxis={"title": MEASURES[measure]},
    )
    return finish(figure, height=320)


def kmer_figure(table: pd.DataFrame, by: str, top: int = 20) -> go.Figure:
    """Draw the leading k-mers at important places beside their share elsewhere.

    Parameters
    ----------
    table
        Table `ENRICHED_KMERS`.
    by
        ``frequency``: the published recipe's order; ``enrichment``: the test's.
    top
        K-mers drawn.
    """
    check_table(table, ENRICHED_KMERS, "k-mers")
    ordered = table.sort_values("frequency_rank") if by == "frequency" else table
    shown = ordered.head(top)
    figure = go.Figure()
    for name, column, colour in (
        ("at important positions", "share", VERMILION), ("at all other positions", "background_share", GREY),
    ):
        figure.add_bar(
            y=shown["kmer"], x=shown[column] * 100, orientation="h", name=name, marker={"color": colour},
            customdata=shown[["count", "q"]],
            hovertemplate="%{y}: %{x:.3f}%<br>%{customdata[0]:,} times, q = %{customdata[1]:.2g}<extra></extra>",
        )
    figure.update_layout(
        title={"text": f"{len(shown)} of {len(table):,} k-mers tested", "font": {"size": 12}}, barmode="group",
        xaxis={"title": "Share of k-mers (%)", "rangemode": "tozero"},
        yaxis={"autorange": "reversed", "categoryorder": "array", "categoryarray": list(shown["kmer"])},
    )
    return finish(figure, height=22 * len(shown) + 150)


def weights_figure(table: pd.DataFrame, label: str, top: int = 20) -> go.Figure:
    """Draw the k-mers that weigh most in a model, with their spread over the trees of a forest.

    Parameters
    ----------
    table
        Table `KMER_WEIGHTS`, most important first.
    label
        What the numbers are, for the axis.
    top
        K-mers drawn.
    """
    check_table(table, KMER_WEIGHTS, "k-mer importance")
    shown = table.head(top)
    spread = "; bars: standard deviation over trees" if shown["spread"].notna().any() else ""
    figure = go.Figure()
    figure.add_scatter(
        y=shown["kmer"], x=shown["importance"], mode="markers", marker={"color": BLUE, "size": 8}, showlegend=False,
        error_x={
            "type": "data", "array": shown["spread"].fillna(0), "color": BLUE, "thickness": 1.5,
            # An importance by impurity is never below 0; bars that reached there would show what cannot be.
            "arrayminus": shown[["spread", "importance"]].min(axis=1).fillna(0), "symmetric": False,
        } if shown["spread"].notna().any() else None,
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )
    figure.add_vline(x=0, line={"color": FAINT, "width": 1})
    figure.update_layout(
        title={"text": f"{len(shown)} of {len(table):,} k-mers{spread}", "font": {"size": 12}}, xaxis={"title": label},
        yaxis={"autorange": "reversed", "categoryorder": "array", "categoryarray": list(shown["kmer"])},
    )
    return finish(figure, height=max(240, 20 * len(shown) + 100))


def kmer_effect_figure(table: pd.DataFrame, positive: str, known: int) -> go.Figure:
    """Draw what single k-mers add to the answer.

    Parameters
    ----------
    table
        Rows of table `KMER_ATTRIBUTIONS`, in the order drawn.
    positive
        Name of label 1.
    known
        K-mers that these were chosen from.
    """
    check_table(table, KMER_ATTRIBUTIONS, "k-mer attributions")
    figure = go.Figure()
    figure.add_bar(
        y=table["kmer"], x=table["mean"], orientation="h", showlegend=False,
        marker={"color": [VERMILION if mean > 0 else BLUE for mean in table["mean"]]},
        customdata=table[["occurrences"]],
        hovertemplate="%{y}: %{x:+.4f}<br>%{customdata[0]:,} times<extra></extra>",
    )
    figure.add_vline(x=0, line={"color": FAINT, "width": 1})
    figure.update_layout(
        title={"text": f"{len(table)} of {known:,} k-mers", "font": {"size": 12}},
        xaxis={"title": f"Log-odds of {positive} added by an occurrence"},
        yaxis={"autorange": "reversed", "categoryorder": "array", "categoryarray": list(table["kmer"])},
    )
    return finish(figure, height=max(240, 20 * len(table) + 100))


def mean_attribution_figure(table: pd.DataFrame, classes: tuple[str, str]) -> go.Figure:
    """Draw the mean integrated gradient at each place for both classes, with 95% bands over windows.

    Parameters
    ----------
    table
        Table `MEAN_ATTRIBUTIONS`.
    classes
        Names of label 0 and 1.
    """
    check_table(table, MEAN_ATTRIBUTIONS, "mean attributions")
    figure = go.Figure()
    sizes = []
    for label, colour in ((0, BLUE), (1, VERMILION)):
        own = table[table["label"] == label]
        if own.empty:
            continue
        middle = (own["start"] + own["end"] + 1) / 2
        sizes.append(f"{int(own['windows'].iloc[0]):,} {classes[label]}")
        if own["low"].notna().all():
            figure.add_scatter(
                x=pd.concat([middle, middle[::-1]]), y=pd.concat([own["high"], own["low"][::-1]]), fill="toself",
                mode="lines", line={"width": 0}, fillcolor=translucent(colour, 0.2), hoverinfo="skip",
                showlegend=False, legendgroup=classes[label],
            )
        figure.add_scatter(
            x=middle, y=own["mean"], mode="lines", line={"color": colour, "width": 1.8}, name=classes[label],
            legendgroup=classes[label], hovertemplate="position %{x}: %{y:.4f}<extra></extra>",
        )
    figure.add_hline(y=0, line={"color": FAINT, "width": 1})
    figure.update_layout(
        title={"text": f"n = {' and '.join(sizes)} test windows", "font": {"size": 12}},
        xaxis={"title": "Position in the window (bases)", "range": [0.5, float(table["end"].max()) + 0.5]},
        yaxis={"title": f"Log-odds of {classes[1]} added"},
    )
    return finish(figure, height=320)


def mutation_figure(table: pd.DataFrame, sequence: str, positive: str) -> go.Figure:
    """Draw what every single-base change of one window does to the model's answer.

    Parameters
    ----------
    table
        Table `MUTATIONS`, of one window.
    sequence
        The window's bases, whose own rows stay blank.
    positive
        Name of label 1.
    """
    check_table(table, MUTATIONS, "mutations")
    bases = list("ACGT")
    change = np.full((4, len(sequence)), np.nan)
    change[[bases.index(base) for base in table["alt"]], table["position"]] = table["log_odds_change"]
    limit = max(1e-6, float(table["log_odds_change"].abs().max())) if len(table) else 1.0
    position = np.arange(1, len(sequence) + 1)
    figure = go.Figure()
    figure.add_heatmap(
        x=position, y=bases, z=change, zmin=-limit, zmax=limit,
        colorscale=[[0, BLUE], [0.5, "#F7F7F7"], [1, VERMILION]],
        customdata=np.broadcast_to(np.array(list(sequence)), change.shape), xgap=0, ygap=1,
        colorbar={"title": {"text": "log-odds", "side": "right"}, "thickness": 12, "len": 0.95},
        hovertemplate="%{customdata}%{x}%{y}: %{z:.3f}<extra></extra>",
    )
    figure.update_layout(
        title={"text": f"{len(table):,} changes; blue makes the window look less {positive}", "font": {"size": 12}},
        xaxis={"title": "Position in the window (bases)"},
        yaxis={"title": "Changed to", "categoryorder": "array", "categoryarray": bases[::-1]},
    )
    return finish(figure, height=230)


def window_attribution_figure(values: np.ndarray, sequence: str, positive: str) -> go.Figure:
    """Draw one window's integrated gradients by position.

    Parameters
    ----------
    values
        (places,) log-odds; place j begins at base j.
    sequence
        The window's bases.
    positive
        Name of label 1.
    """
    position = np.arange(1, len(values) + 1)
    figure = go.Figure()
    figure.add_bar(
        x=position, y=values, marker={"color": np.where(values > 0, VERMILION, BLUE).tolist(), "line": {"width": 0}},
        customdata=list(sequence[: len(values)]), showlegend=False,
        hovertemplate="%{customdata}%{x}: %{y:.4f}<extra></extra>",
    )
    figure.update_layout(
        title={"text": f"n = 1 window, {len(values)} places; the sum is {values.sum():+.2f}", "font": {"size": 12}},
        bargap=0, xaxis={"title": "Position in the window (bases)"}, yaxis={"title": f"Log-odds of {positive} added"},
    )
    return finish(figure, height=240)

"""`embed`: a map of the k-mers as a model sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import EmbedSettings
from neandl_core.files import require_file
from neandl_core.recording import Run, require_run


def embed(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished `train` run.")],
    out: Out,
    method: Annotated[str, typer.Option("--method", help="pca or umap.")] = "pca",
    vectors: Annotated[
        str, typer.Option("--vectors", help="learnt: the model's own; composition: of the k-mers' bases alone.")
    ] = "learnt",
    dimensions: Annotated[int, typer.Option("--dimensions", help="2 or 3.")] = 2,
    kmers: Annotated[int | None, typer.Option("--kmers", help="Only so many k-mers, the most frequent.")] = None,
    sample: Annotated[int, typer.Option("--sample", help="K-mers that UMAP is fitted to.")] = 50_000,
    weighted: Annotated[bool, typer.Option("--weighted", help="Draw them by frequency, not evenly.")] = False,
    neighbours: Annotated[int, typer.Option("--neighbours", help="Neighbours in UMAP.")] = 15,
    min_dist: Annotated[float, typer.Option("--min-dist", help="Smallest distance in UMAP.")] = 0.1,
    clusters: Annotated[int, typer.Option("--clusters", help="Clusters of k-means.")] = 8,
    projector: Annotated[
        int, typer.Option("--projector", help="Most frequent k-mers in the files for TensorBoard's projector.")
    ] = 100_000,
    interpretation: Annotated[
        Path | None, typer.Option("--interpretation", help="Folder of a finished `interpret` run of the same model.")
    ] = None,
    subset: Annotated[
        Path | None, typer.Option("--subset", help="Only these k-mers: a file with one a line, or a column `kmer`.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="The model's dataset, if its folder was moved.")
    ] = None,
    threads: Threads = 2,
    seed: Seed = 1,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Draw the k-mers as points, by principal components or UMAP, with what is known of each.

    Example: python -m neandl_core embed run --method umap --out map
    """
    settings = EmbedSettings.make(
        method=method, vectors=vectors, dimensions=dimensions, kmers=kmers, sample=sample, weighted=weighted,
        neighbours=neighbours, min_dist=min_dist, clusters=clusters, projector=projector, threads=threads, seed=seed,
    )
    require_run(run_folder, "train")
    inputs = [run_folder]
    if interpretation is not None:
        inputs.append(require_run(interpretation, "interpret"))
    if subset is not None:
        inputs.append(require_file(subset, "list of k-mers"))
    with progress_bar(quiet) as bar, Run(out, "embed", settings, inputs, title=title, on_progress=bar) as run:
        from neandl_core.embedding import embed_run

        summary = embed_run(run_folder, run, settings, interpretation, dataset, subset)
    say(f"{summary['points']:,} k-mers in {summary['seconds']:.0f} s; the map is in {out}.", quiet)

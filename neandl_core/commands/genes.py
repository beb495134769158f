"""`genes`: a trained model over every gene of a list."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neandl_core.commands.options import Out, Quiet, Seed, Threads, Title, progress_bar, say
from neandl_core.config import GeneSettings
from neandl_core.files import require_file
from neandl_core.recording import Run, require_run
from neandl_core.runs import KEPT

if TYPE_CHECKING:
    from neandl_core.genes import Score


def genes(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished `train` run on windows.")],
    gene_list: Annotated[
        Path, typer.Option("--genes", help="Gene table: chr:start-end SYMBOL, BED, GTF, GFF3, refGene, parquet.")
    ],
    reference: Annotated[Path, typer.Option("--reference", help="Genome of the genes' positions, FASTA or 2bit.")],
    out: Out,
    maps: Annotated[Path | None, typer.Option("--maps", help="Folder of published maps, BED files.")] = None,
    published: Annotated[
        Path | None, typer.Option("--published", help="Published predictions to set beside: locus, symbol, call, P.")
    ] = None,
    fdr: Annotated[
        float | None,
        typer.Option("--fdr", help="Call genes by this false-discovery rate, against held-out depleted windows."),
    ] = None,
    threshold: Annotated[float, typer.Option("--threshold", help="Call a gene introgressed from here on.")] = 0.5,
    max_windows_per_gene: Annotated[
        int | None, typer.Option("--max-windows-per-gene", help="Spread so many windows over a long gene; all if none.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps (a Mac).")] = "auto",
    bf16: Annotated[bool, typer.Option("--bf16", help="bfloat16 on a GPU, where the model gains from it.")] = False,
    by_chromosome: Annotated[
        bool,
        typer.Option("--by-chromosome", help="Score chromosomes side by side, as many as there are slots or workers."),
    ] = False,
    threads: Threads = 2,
    seed: Seed = 1,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Score every gene of a list with a trained model, and set published maps beside the scores.

    With --by-chromosome the work is divided among the slots of this machine (NEANDL_CPU_SLOTS), or with
    NEANDL_SCHEDULER, or `submit --scheduler`, among the machines of a cluster. The scores are the same.

    Example: python -m neandl_core genes run --genes gene_ids.txt --reference hg19.fa --maps maps --out genes
    """
    settings = GeneSettings.make(
        threshold=threshold, fdr=fdr, max_windows_per_gene=max_windows_per_gene, device=device, threads=threads,
        bf16=bf16, seed=seed,
    )
    require_run(run_folder, "train")
    inputs = [run_folder, require_file(gene_list, "gene table"), require_file(reference, "genome")]
    if published is not None:
        inputs.append(require_file(published, "table of published predictions"))
    with progress_bar(quiet) as bar, Run(out, "genes", settings, inputs, title=title, on_progress=bar) as run:
        from neandl_core.genes import score_genes

        score = _by_parts(run.folder, run_folder, gene_list, reference, settings) if by_chromosome else None
        result = score_genes(run_folder, gene_list, reference, maps, settings, run.progress, published, score)
        result.genes.to_csv(run.results / "genes.tsv", sep="\t", index=False)
        for name in ("track", "evidence", "segments", "exons"):
            table = getattr(result, name)
            if name != "track":
                table = table.sort_values("symbol", kind="stable")
            table.to_parquet(run.results / f"{name}.parquet", index=False, row_group_size=50_000)
        run.summarise(result.summary)
        shutil.rmtree(run.folder / KEPT, ignore_errors=True)
    summary = result.summary
    skipped = sum(summary["skipped"].values())
    say(
        f"{summary['scored']:,} of {summary['genes']:,} genes scored, {summary['predicted']:,} called introgressed, "
        f"{skipped:,} not scored; in {out}.", quiet,
    )


def _by_parts(folder: Path, model: Path, gene_list: Path, reference: Path, settings: GeneSettings) -> Score:
    from neandl_core.gene_scores import score_in_parts

    work = {"run": str(model.resolve()), "genes": str(gene_list.resolve()), "reference": str(reference.resolve())}
    return lambda layout, progress: score_in_parts(folder, work, layout, settings, progress)


def genes_part(
    folder: Annotated[Path, typer.Argument(metavar="GENES", help="Folder of the run that is divided.")],
    number: Annotated[int, typer.Argument(metavar="PART", help="Which part, from 0.")],
    out: Out,
    device: Annotated[str, typer.Option("--device", help="As of `genes`.")] = "auto",
    seed: Seed = 1,
    threads: Threads = 2,
    title: Title = "",
    quiet: Quiet = False,
) -> None:
    """Score the genes of some chromosomes; `genes --by-chromosome` starts such parts.

    Example: python -m neandl_core genes-part genes 0 --out part
    """
    from neandl_core.gene_scores import DOING, lay_out, score_contig
    from neandl_core.io.gene_tables import read_genes
    from neandl_core.io.twobit import open_genome
    from neandl_core.parts import planned
    from neandl_core.prediction import load_model

    part = planned(folder, number)
    settings = GeneSettings.make(**part["settings"] | {"device": device, "threads": threads, "seed": seed})
    with progress_bar(quiet) as bar, Run(out, "genes-part", settings, [], title=title, on_progress=bar) as run:
        predictor = load_model(part["run"], settings.device, settings.threads, bf16=settings.bf16)
        gene_list = Path(part["genes"])
        layout = lay_out(read_genes(gene_list), open_genome(part["reference"]), predictor.card.width, gene_list)
        expected = layout.expected()
        total = sum(expected[contig] for contig in part["contigs"])
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            run.progress(min(done, total), total, DOING)

        for contig, path in part["contigs"].items():
            # A former worker of this part, which is gone, may have done it.
            if Path(path).exists():
                advance(expected[contig])
            else:
                score_contig(layout, contig, predictor, settings, advance).save(Path(path))
        run.summarise({"contigs": list(part["contigs"])})

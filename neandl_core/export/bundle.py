"""Everything asked for at once: figures, data, deck and report as files of one folder or one archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from neandl_core.config import ExportSettings
from neandl_core.errors import InputError, OutputError, SettingsError
from neandl_core.export.plates import Plate, Style, file_names, picture, plates_of
from neandl_core.export.report import report_bytes
from neandl_core.export.run_figures import figures_of_run
from neandl_core.export.tables import table_bytes, workbook_bytes
from neandl_core.figures.print import installed_fonts
from neandl_core.presentation import Presentation
from neandl_core.recording import Progress, no_progress

FORMATS = ("pptx", "pdf", "svg", "png", "html", "xlsx", "tsv")
PICTURES = ("pdf", "svg", "png")
DRAWN_WITH = "matplotlib, without a browser"


def check_formats(formats: Collection[str]) -> tuple[str, ...]:
    """Return the formats asked for in the order of `FORMATS`.

    Raises
    ------
    SettingsError
        If there is none, or one that NeanDL does not write.
    """
    unknown = [form for form in formats if form not in FORMATS]
    if unknown or not formats:
        raise SettingsError(
            f"Exports are written as {', '.join(FORMATS)}" + (f", not as {unknown[0]!r}." if unknown else ".")
        )
    return tuple(form for form in FORMATS if form in formats)


def files(
    plates: Sequence[Plate], formats: Collection[str], style: Style, *, title: str, subtitle: str = "",
    editable: bool = False, progress: Progress = no_progress,
) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of every file, one at a time, so that none has to wait in memory.

    Parameters
    ----------
    plates
        In order; the files are numbered by it.
    formats
        Of `FORMATS`. Pictures and TSV are one file a plate, in `figures/` and `data/`; the others are one file in all.
    style, title, subtitle, editable
        As of `slides.deck_bytes`.
    progress
        Told of each file.

    Raises
    ------
    OutputError
        If there is no plate, or one cannot be drawn.
    """
    if not plates:
        raise OutputError("There is no figure to export.")
    formats = check_formats(formats)
    names = file_names(plates)
    single = [form for form in formats if form in PICTURES]
    total = len(plates) * len(single) + len(formats) - len(single)
    done = 0
    for plate, name in zip(plates, names, strict=True):
        for form in single:
            progress(done, total, f"{form.upper()} of {plate.title}")
            yield f"figures/{name}.{form}", picture(plate, form, style)
            done += 1
    for form in formats:
        if form in single:
            continue
        progress(done, total, f"Writing {form.upper()}")
        done += 1
        if form == "tsv":
            for plate, name in zip(plates, names, strict=True):
                if plate.table is not None:
                    yield f"data/{name}.tsv", table_bytes(plate.table, "TSV")
        elif form == "xlsx":
            tables = [(name, plate.table) for plate, name in zip(plates, names, strict=True) if plate.table is not None]
            if tables:
                yield "data.xlsx", workbook_bytes(tables)
        elif form == "html":
            yield "report.html", report_bytes(plates, style, title=title, subtitle=subtitle)
        else:
            # python-pptx takes half a second to import, which other formats need not wait for.
            from neandl_core.export.slides import deck_bytes

            yield "slides.pptx", deck_bytes(plates, style, title=title, subtitle=subtitle, editable=editable)


def archive_bytes(
    plates: Sequence[Plate], formats: Collection[str], style: Style, *, title: str, subtitle: str = ""
) -> bytes:
    """Return `files` as one ZIP archive.

    Raises
    ------
    OutputError
        If there is no plate, or one cannot be drawn.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files(plates, formats, style, title=title, subtitle=subtitle):
            archive.writestr(name, content)
    return buffer.getvalue()


def archive_of(folder: str | Path, names: Iterable[str]) -> bytes:
    """Return files that an export wrote as one ZIP archive.

    Raises
    ------
    InputError
        If one is missing or lies outside the folder.
    """
    folder = Path(folder).resolve()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            path = (folder / name).resolve()
            if not path.is_relative_to(folder) or not path.is_file():
                raise InputError("this file of the export is missing", path=path, advice="Make the files again.")
            archive.write(path, name)
    return buffer.getvalue()


def write_export(
    target: Path, settings: ExportSettings, runs: Sequence[Path], presentation: Path | None = None,
    given: Mapping[str, str | None] | None = None, progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write the figures of runs, or of a presentation, into a folder and return the summary.

    Parameters
    ----------
    target
        An existing folder.
    settings
        What to write, and how.
    runs, presentation
        Folders of finished runs, or the folder of one presentation.
    given
        `font` and `palette` if they were asked for: a presentation has its own, which hold otherwise.
    progress
        Told of each file.

    Returns
    -------
    dict
        `figures`, `files` (paths within `target`), `simulated`, `drawn_with`, `titles`.

    Raises
    ------
    NeanDLError
        If a run is not finished, a setting is impossible or a figure cannot be drawn.
    """
    formats = check_formats(settings.formats)
    given = given or {}
    heading, subtitle = settings.heading, settings.subtitle
    if presentation is not None:
        opened = Presentation(presentation)
        if not (opened.folder / "deck.json").exists():
            raise InputError("this folder holds no presentation", path=presentation)
        deck, plates = opened.deck, plates_of(opened)
        font, palette = given.get("font") or deck.font, given.get("palette") or deck.palette
        heading, subtitle = heading or deck.title or deck.name, subtitle or deck.author
    else:
        plates = [plate for folder in runs for plate in figures_of_run(folder)]
        font, palette = settings.font, settings.palette
        heading = heading or "Figures of NeanDL"
    if font not in installed_fonts() and given.get("font"):
        raise SettingsError(f"The font {font} is not installed. There are {', '.join(installed_fonts())}.")
    if settings.width is not None:
        plates = [replace(plate, width=settings.width) for plate in plates]
    written = []
    made = files(
        plates, formats, Style(font, palette, settings.dots_per_inch), title=heading, subtitle=subtitle,
        editable=settings.editable, progress=progress,
    )
    for name, content in made:
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written.append(name)
    return {
        "figures": len(plates), "files": written, "simulated": any(plate.simulated for plate in plates),
        "drawn_with": DRAWN_WITH, "titles": [plate.title for plate in plates],
    }

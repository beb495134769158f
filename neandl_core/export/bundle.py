"""Everything asked for at once: figures, data, deck and report as files of one folder or one archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Iterator, Sequence

from neandl_core.errors import OutputError, SettingsError
from neandl_core.export.plates import Plate, Style, file_names, picture
from neandl_core.export.report import report_bytes
from neandl_core.export.tables import table_bytes, workbook_bytes
from neandl_core.recording import Progress, no_progress

FORMATS = ("pptx", "pdf", "svg", "png", "html", "xlsx", "tsv")
PICTURES = ("pdf", "svg", "png")


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

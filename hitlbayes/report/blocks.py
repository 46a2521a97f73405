"""The pieces of a report: text, tables, figures and what folds away, each as safe HTML."""

from __future__ import annotations

import base64
from io import BytesIO

import matplotlib
import pandas as pd
from great_tables import GT
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from hitlbayes.errors import SpecError
from hitlbayes.report.canvas import Plot
from hitlbayes.report.tables import plain_table

LINE = 0.16  # inches of a line of a figure's caption


def text(words: str) -> Markup:
    """Paragraphs, separated by blank lines; everything is escaped.

    Examples
    --------
    >>> text("Fewer than 5 < 6.")
    Markup('<p>Fewer than 5 &lt; 6.</p>')
    """
    paragraphs = (part.strip() for part in words.split("\n\n"))
    return Markup("").join(Markup("<p>{}</p>").format(part) for part in paragraphs if part)


def table(content: GT | pd.DataFrame, *, caption: str = "", places: int = 3) -> Markup:
    """A table that scrolls sideways on a narrow screen.

    Parameters
    ----------
    content : GT or DataFrame
        An `effects_table`, or any frame.
    caption : str
        Above a frame's table.
    places : int
        Decimal places of a frame's floating-point columns.
    """
    inner = (
        content.as_raw_html()
        if isinstance(content, GT)
        else plain_table(content, places=places, caption=caption)
    )
    return Markup('<div class="scroll" tabindex="0" role="region" aria-label="table">{}</div>').format(
        Markup(inner)
    )


def figure(picture: Figure, *, caption: str | None = None) -> Markup:
    """A figure as an inline SVG image, its caption as text beneath it.

    Parameters
    ----------
    picture : Figure
    caption : str, optional
        The figure's own caption by default.

    Raises
    ------
    SpecError
        Where the figure has no caption and none is given.
    """
    words = caption if caption is not None else getattr(picture, "caption", "")
    if not words:
        raise SpecError("a figure of a report needs a caption: figure(fig, caption=...).")
    source = base64.b64encode(_svg(picture)).decode("ascii")
    html = '<figure><img alt="{}" src="data:image/svg+xml;base64,{}"><figcaption>{}</figcaption></figure>'
    return Markup(html).format(words, source, words)


def details(title: str, *blocks: Markup, opened: bool = False) -> Markup:
    """Blocks behind a line that a reader opens.

    Examples
    --------
    >>> details("Versions", text("numpy 2"))
    Markup('<details><summary>Versions</summary><p>numpy 2</p></details>')
    """
    opening = Markup("<details open>") if opened else Markup("<details>")
    summary = Markup("<summary>{}</summary>").format(title)
    return Markup("").join([opening, summary, *map(_safe, blocks), Markup("</details>")])


def _safe(block: Markup | str) -> Markup:
    # Markup passes through; a plain string is escaped, never trusted.
    return escape(block)


def _svg(picture: Figure) -> bytes:
    label = picture.caption_text if isinstance(picture, Plot) else None
    width, height = picture.get_size_inches()
    buffer = BytesIO()
    try:
        if label is not None:  # the caption is text in the page, which wraps and can be searched
            label.set_visible(False)
            label.set_in_layout(False)
            picture.set_size_inches(width, height - LINE * (label.get_text().count("\n") + 1))
        with matplotlib.rc_context({"svg.hashsalt": "hitlbayes", "svg.fonttype": "path"}):
            picture.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    finally:
        if label is not None:
            label.set_visible(True)
            label.set_in_layout(True)
            picture.set_size_inches(width, height)
    return buffer.getvalue()

"""The pieces of a report: text, tables, figures and what folds away, each as safe HTML and as markdown."""

from __future__ import annotations

import base64
from io import BytesIO

import matplotlib
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from hitlbayes.errors import SpecError
from hitlbayes.report.canvas import Plot
from hitlbayes.report.markdown import escaped, markdown_table
from hitlbayes.report.tables import effects_notes, effects_table, plain_table, side_by_side, texts

LINE = 0.16  # inches of a line of a figure's caption


class Block(Markup):
    """Safe HTML that knows the same content as markdown."""

    markdown: str = ""


def block(html: Markup, *, markdown: str) -> Block:
    """HTML with its markdown."""
    made = Block(html)
    made.markdown = markdown
    return made


def text(words: str) -> Markup:
    """Paragraphs, separated by blank lines; everything is escaped.

    Examples
    --------
    >>> text("Fewer than 5 < 6.")
    Block('<p>Fewer than 5 &lt; 6.</p>')
    """
    paragraphs = [part.strip() for part in words.split("\n\n") if part.strip()]
    html = Markup("").join(Markup("<p>{}</p>").format(part) for part in paragraphs)
    return block(html, markdown="\n\n".join(map(escaped, paragraphs)))


def table(content: pd.DataFrame, *, caption: str = "", places: int = 3) -> Markup:
    """A table that scrolls sideways on a narrow screen.

    Parameters
    ----------
    content : DataFrame
    caption : str
        Above the table.
    places : int
        Decimal places of floating-point columns.
    """
    html = _scrolling(plain_table(content, places=places, caption=caption))
    head = f"*{escaped(caption)}*\n\n" if caption else ""
    return block(html, markdown=head + markdown_table(texts(content, places=places)))


def effects(rows: pd.DataFrame, *, title: str = "", note: str = "") -> Markup:
    """Average effects side by side: published, frequentist twin, posterior, truth.

    Parameters
    ----------
    rows : DataFrame
        From `hitlbayes.report.rows.compare`.
    title, note : str
        As in `hitlbayes.report.tables.effects_table`.
    """
    html = _scrolling(effects_table(rows, title=title, note=note).as_raw_html())
    head = f"*{escaped(title)}*\n\n" if title else ""
    notes = "\n\n".join(escaped(line) for line in effects_notes(rows, note=note))
    return block(html, markdown=f"{head}{markdown_table(side_by_side(rows))}\n\n{notes}")


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
    embedded = f"![{escaped(words)}](data:image/svg+xml;base64,{source})"
    return block(Markup(html).format(words, source, words), markdown=f"{embedded}\n\n*{escaped(words)}*")


def details(title: str, *blocks: Markup, opened: bool = False) -> Markup:
    """Blocks behind a line that a reader opens.

    Examples
    --------
    >>> details("Versions", text("numpy 2"))
    Block('<details><summary>Versions</summary><p>numpy 2</p></details>')
    """
    opening = Markup("<details open>") if opened else Markup("<details>")
    summary = Markup("<summary>{}</summary>").format(title)
    html = Markup("").join([opening, summary, *map(_safe, blocks), Markup("</details>")])
    return block(html, markdown="\n\n".join([f"**{escaped(title)}**", *map(markdown_of, blocks)]))


def markdown_of(content: Markup | str) -> str:
    """A block as markdown; a plain string is escaped."""
    return content.markdown if isinstance(content, Block) else escaped(str(content))


def _scrolling(html: str) -> Markup:
    opening = '<div class="scroll" tabindex="0" role="region" aria-label="table">{}</div>'
    return Markup(opening).format(Markup(html))


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

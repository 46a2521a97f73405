"""Tables as files: LaTeX with booktabs, HTML that a word processor takes, CSV with every digit."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from great_tables import GT

from hitlbayes.errors import SpecError, StorageError
from hitlbayes.report.protocol import FitLike
from hitlbayes.report.rows import COLUMNS, compare, effect_row
from hitlbayes.report.tables import HEADINGS, effects_notes, effects_table, side_by_side, texts

_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": "--",
    "\N{SUPERSCRIPT TWO}": "$^2$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{BALLOT X}": r"$\times$",
}
_TEX_PATTERN = re.compile("|".join(map(re.escape, _TEX)))
SUFFIXES = (".tex", ".html", ".csv")


def write_table(
    content: pd.DataFrame | FitLike | Sequence[FitLike],
    path: str | Path,
    *,
    caption: str = "",
    places: int = 3,
) -> Path:
    """Write effects, or any frame, as a table: .tex (booktabs), .html (to paste into Word), .csv.

    Parameters
    ----------
    content : DataFrame, Fit, or sequence of Fit
        Fits become their average effects side by side, posterior beside frequentist; a frame, for example a
        ``summary()``, is written as it is, with its index.
    path : str or Path
        Its ending says which; the folder must exist.
    caption : str
    places : int
        Decimal places of a frame in .tex and .html; .csv keeps every digit.

    Returns
    -------
    Path

    Raises
    ------
    SpecError
        Another ending.
    StorageError
        The file cannot be written.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> frame = pd.DataFrame({"effect": ["rating, 5 %"], "mean": [-0.25]})
    >>> path = write_table(frame, Path(tempfile.mkdtemp()) / "effects.tex")
    >>> print(path.read_text().splitlines()[4])
    rating, 5 \\% & $-$0.250 \\\\
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise SpecError(f"{path.name!r} ends in {path.suffix!r}; expected one of {', '.join(SUFFIXES)}.")
    if not isinstance(content, pd.DataFrame):
        fits = list(content) if isinstance(content, Sequence) else [content]
        content = compare([effect_row(fit) for fit in fits])
    made = _WRITERS[path.suffix](content, caption, places)
    try:
        path.write_text(made, encoding="utf-8")
    except OSError as problem:
        raise StorageError(f"the table could not be written to {path}: {problem.strerror}.") from problem
    return path


def latex_table(frame: pd.DataFrame, *, caption: str = "", notes: Sequence[str] = ()) -> str:
    """Text cells as a LaTeX table with booktabs' rules; a second line in a cell becomes a row beneath.

    Parameters
    ----------
    frame : DataFrame
        The first column is aligned to the left, the others to the right.
    caption : str
        With one, the tabular stands in a table environment.
    notes : sequence of str
        Beneath the table.

    Examples
    --------
    >>> print(latex_table(pd.DataFrame({"effect": ["rating"], "mean": ["−0.25\\n[−0.5, 0.0]"]})))
    \\begin{tabular}{lr}
    \\toprule
    effect & mean \\\\
    \\midrule
    rating & $-$0.25 \\\\
     & [$-$0.5, 0.0] \\\\
    \\bottomrule
    \\end{tabular}
    <BLANKLINE>
    """
    body = [line for cells in frame.astype(object).to_numpy().tolist() for line in _tex_rows(cells)]
    lines = [rf"\begin{{tabular}}{{l{'r' * (frame.shape[1] - 1)}}}", r"\toprule"]
    lines += [*_tex_rows(list(frame.columns)), r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
    if caption:
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{tex(caption)}}}", *lines]
    lines += [rf"\par\smallskip\footnotesize {tex(note)}" for note in notes]
    return "\n".join([*lines, *([r"\end{table}"] if caption else [])]) + "\n"


def tex(words: str) -> str:
    r"""Text with LaTeX's special characters escaped.

    Examples
    --------
    >>> print(tex("R² < 5 %"))
    R$^2$ $<$ 5 \%
    """
    return _TEX_PATTERN.sub(lambda found: _TEX[found.group()], words)


def _tex_rows(cells: Sequence[object]) -> list[str]:
    shown = ["–" if value is None or value != value else str(value) for value in cells]
    split = [text.split("\n") for text in shown]
    height = max(map(len, split))
    rows = [[lines[j] if j < len(lines) else "" for lines in split] for j in range(height)]
    return [" & ".join(tex(cell) for cell in row) + r" \\" for row in rows]


def _is_effects(frame: pd.DataFrame) -> bool:
    return set(COLUMNS) <= set(frame.columns)


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose index says something, with it as columns."""
    return frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()


def _as_tex(frame: pd.DataFrame, caption: str, places: int) -> str:
    if not _is_effects(frame):
        return latex_table(texts(_with_index(frame), places=places), caption=caption)
    shown = side_by_side(frame)
    label = [f"{effect}\n{units}" for effect, units in zip(shown["effect"], shown["units"], strict=True)]
    shown = shown.assign(effect=label).drop(columns="units").rename(columns=HEADINGS)
    return latex_table(
        shown.rename(columns={"effect": "Effect on"}), caption=caption, notes=effects_notes(frame)
    )


def _as_html(frame: pd.DataFrame, caption: str, places: int) -> str:
    if _is_effects(frame):
        made = effects_table(frame, title=caption)
    else:
        made = GT(texts(_with_index(frame), places=places), id="table")
        made = made.tab_header(title=caption) if caption else made
    return made.as_raw_html(make_page=True)


def _as_csv(frame: pd.DataFrame, caption: str, places: int) -> str:
    return _with_index(frame).to_csv(index=False)


_WRITERS: dict[str, Callable[[pd.DataFrame, str, int], str]] = {
    ".tex": _as_tex,
    ".html": _as_html,
    ".csv": _as_csv,
}

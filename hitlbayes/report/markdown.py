"""The same report as markdown, for a notebook or a repository."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pandas as pd

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")
_EMBEDDED = re.compile(r"\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)")


def escaped(words: str) -> str:
    r"""Text whose characters markdown would not take for markup.

    Examples
    --------
    >>> print(escaped("sd_effect < 3"))
    sd\_effect \< 3
    """
    return _SPECIAL.sub(r"\\\1", words)


def markdown_table(frame: pd.DataFrame) -> str:
    """A frame as a pipe table; line breaks in a cell stay, missing values are dashes.

    Examples
    --------
    >>> print(markdown_table(pd.DataFrame({"term": ["a|b"], "n": [3]})))
    | term | n |
    |---|---|
    | a\\|b | 3 |
    """
    lines = [list(map(str, frame.columns)), *frame.astype(object).to_numpy().tolist()]
    shown = [" | ".join(_cell(value) for value in line) for line in lines]
    rule = "|" + "---|" * frame.shape[1]
    return "\n".join([f"| {shown[0]} |", rule, *(f"| {line} |" for line in shown[1:])])


def with_files(markdown: str, *, folder: Path) -> str:
    """The markdown with its embedded figures written to `folder` as SVG and linked from there.

    Parameters
    ----------
    markdown : str
    folder : Path
        Made where it does not exist; the links are relative to the folder that it lies in.
    """
    count = 0

    def written(found: re.Match[str]) -> str:
        nonlocal count
        count += 1
        folder.mkdir(exist_ok=True)
        path = folder / f"figure_{count:02d}.svg"
        path.write_bytes(base64.b64decode(found.group(1)))
        return f"({folder.name}/{path.name})"

    return _EMBEDDED.sub(written, markdown)


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    return "<br>".join(escaped(part) for part in str(value).split("\n"))

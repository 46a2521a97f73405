"""Tables: effects side by side, and plain frames as HTML."""

from __future__ import annotations

import textwrap
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from great_tables import GT, loc, style

from hitlbayes.report.canvas import stamp
from hitlbayes.report.marks import ENDS
from hitlbayes.report.rows import checked
from hitlbayes.report.verdict import rows_verdict
from hitlbayes.report.wording import bracket, decimals, number, outcome_label

HEADINGS: dict[str, Any] = {
    "printed": "As printed\n(SE)",
    "published": "Published\n[95% CI]",
    "twin": "Frequentist twin\n[95% CI]",
    "posterior": "Posterior mean\n[95% ETI]",
    "positive": "Pr(> 0)",
    "truth": "Truth\n(simulated)",
}
IN_WORDS = {"prob_positive": "Pr(> 0)", "prob_worst": "P(worst)", "prob_harm": "P(harm)", "r_hat": "r_hat"}
PRINTED = 3  # decimal places of the published tables
NOTE = (
    "Units: percent is geometric, exp(log points) - 1; rates are in percentage points. {others} (two-way "
    "fixed effects, standard errors clustered by unit) {average} unit-period means{printed}; the posterior "
    "effect is weighted by {weights}."
)
TWIN_ALONE = {"others": "The frequentist twin", "average": "averages", "printed": ""}
WITH_PUBLISHED = {
    "others": "The published estimate and the frequentist twin",
    "average": "average",
    "printed": " (as printed: log points, proportions, points)",
}
SENTENCE = 45  # characters of a cell beyond which its column is one of sentences
LABEL = 44  # characters of a row's name before it wraps
CSS = (
    "td.gt_row {white-space: pre; vertical-align: top; font-size: 12px; color: #555;"
    " font-variant-numeric: tabular-nums;}",
    "td.gt_row::first-line {font-size: 14px; color: #111;}",
    "th.gt_col_heading {white-space: pre; vertical-align: bottom;}",
    ".gt_subtitle {color: #8a3b00; font-weight: 600; letter-spacing: .04em;}",
)


def side_by_side(rows: pd.DataFrame) -> pd.DataFrame:
    """Published estimate, frequentist twin, posterior and truth as text, a row per effect.

    Digits follow the posterior standard deviation: two significant ones, the same across a row.

    Parameters
    ----------
    rows : DataFrame
        From `compare`.

    Returns
    -------
    DataFrame
        `effect`, `units`, then those of `printed`, `published`, `twin`, `posterior`, `positive`, `truth` that
        any row has. `printed` is the estimate with its standard error as the published table prints them, in
        its own units; the second line of the other cells is the interval.
    """
    rows = checked(rows)
    text = pd.DataFrame([_text(row) for row in rows.to_dict("records")])
    empty = [name for name in HEADINGS if (text[name] == "–").all()]
    return text.drop(columns=empty)


def effects_table(rows: pd.DataFrame, *, title: str = "", note: str = "") -> GT:
    """Effects side by side, ready to show: published, frequentist twin, posterior, truth.

    Parameters
    ----------
    rows : DataFrame
        From `compare`.
    title : str
        Heading of the table.
    note : str
        A note of the caller's beneath the standing one.

    Returns
    -------
    GT
        Labelled where data are synthetic or a fit failed its checks.
    """
    rows = checked(rows)
    shown = side_by_side(rows)
    labels = stamp(synthetic=bool(rows["synthetic"].any()), ok=bool(rows["ok"].all()))
    # An id of its own content: great-tables draws a random one, and reports should not differ between runs.
    identity = f"effects-{_digest(shown)}"
    table = GT(shown.assign(effect=_with_units(shown, ok=rows["ok"])), id=identity)
    if title or labels:
        table = table.tab_header(title=title or "Average effects on the treated", subtitle=labels or None)
    table = (
        table.cols_hide("units")
        .cols_label(effect="Effect on", **{name: HEADINGS[name] for name in HEADINGS if name in shown})
        .cols_align("left", columns="effect")
        .cols_align("right", columns=[name for name in HEADINGS if name in shown])
        .tab_style(style.text(weight="bold"), loc.body(columns="posterior"))
    )
    for line in effects_notes(rows, note=note):
        table = table.tab_source_note(line)
    return table.tab_options(
        table_font_names=["inherit"],
        table_width="100%",
        heading_align="left",
        heading_title_font_size="15px",
        heading_subtitle_font_size="11px",
        source_notes_font_size="11.5px",
        table_border_top_style="none",
        heading_border_bottom_color="#999999",
        column_labels_border_top_style="none",
        column_labels_font_size="13px",
        data_row_padding="4px",
        table_additional_css=[f"#{identity} {rule}" for rule in CSS],
    )


def effects_notes(rows: pd.DataFrame, *, note: str = "") -> list[str]:
    """What stands beneath a table of effects: units, weights, the label of synthetic data, failed checks."""
    rows = checked(rows)
    weights = " and ".join(dict.fromkeys(rows["weight"].astype(str)))
    words = WITH_PUBLISHED if rows["published"].notna().any() else TWIN_ALONE
    return [line for line in (NOTE.format(weights=weights, **words), note, *_warnings(rows)) if line]


def texts(frame: pd.DataFrame, *, places: int = 3) -> pd.DataFrame:
    """A frame as it is read: columns and outcomes in words, sizes and counts without decimals.

    Examples
    --------
    >>> texts(pd.DataFrame({"mean": [-0.25], "ess_bulk": [1234.4]})).to_dict("list")
    {'mean': ['−0.250'], 'ess bulk': ['1,234']}
    """
    shown = frame.copy()
    for name in shown.columns:
        if pd.api.types.is_float_dtype(shown[name]):
            large = bool((shown[name].dropna().abs() >= 100).all())
            shown[name] = [number(value, places=0 if large else places) for value in shown[name]]
    if "outcome" in shown:
        shown["outcome"] = [outcome_label(str(value)) for value in shown["outcome"]]
    return shown.rename(columns=lambda name: IN_WORDS.get(name, str(name).replace("_", " ")))


def plain_table(frame: pd.DataFrame, *, places: int = 3, caption: str = "") -> str:
    """A frame as a plain HTML table; every value is escaped.

    Parameters
    ----------
    frame : DataFrame
    places : int
        Decimal places of floating-point columns.
    caption : str

    Examples
    --------
    >>> "−0.250" in plain_table(pd.DataFrame({"term": ["beta"], "mean": [-0.25]}))
    True
    """
    shown = texts(frame, places=places)
    wide = {name for name in shown.columns if _is_prose(shown[name])}
    head = "".join(f"<th{_left(name in wide)}>{_escape(str(name))}</th>" for name in shown.columns)
    rows = [
        "".join(
            f"<td{_left(name in wide)}>{_cell(value)}</td>"
            for name, value in zip(shown.columns, row, strict=True)
        )
        for row in shown.astype(object).to_numpy().tolist()
    ]
    title = f"<caption>{_escape(caption)}</caption>" if caption else ""
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table class="plain">{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _is_prose(column: pd.Series) -> bool:
    """Whether a column holds sentences, which are read from the left."""
    return any(isinstance(value, str) and len(value) > SENTENCE for value in column)


def _left(prose: bool) -> str:
    return ' class="prose"' if prose else ""


def _cell(value: object) -> str:
    return "–" if value is None or value != value else _escape(str(value))


def _text(row: dict) -> dict[str, str]:
    places = decimals(row["sd"])
    cells = {"effect": row["label"], "units": row["units"], "printed": _printed(row)}
    for name, column in (("published", "published"), ("twin", "twin"), ("posterior", "mean")):
        lower, upper = (row[end] for end in ENDS[column])
        lines = [number(row[column], places=places), bracket(lower, upper, places=places)]
        cells[name] = "\n".join(line for line in lines if line)
    share = row["prob_positive"]
    cells["positive"] = "> 0.999" if share > 0.999 else "< 0.001" if share < 0.001 else f"{share:.3f}"
    cells["truth"] = number(row["truth"], places=places)
    return cells


def _printed(row: dict) -> str:
    if not np.isfinite(row["printed"]):
        return "–"
    return f"{number(row['printed'], places=PRINTED)}\n({number(row['printed_se'], places=PRINTED)})"


def _with_units(shown: pd.DataFrame, *, ok: pd.Series) -> list[str]:
    marks = ["" if passed else " · ✗ failed its checks" for passed in ok]
    labels = [textwrap.fill(label, LABEL) for label in shown["effect"]]
    return [
        f"{label}\n{units}{mark}" for label, units, mark in zip(labels, shown["units"], marks, strict=True)
    ]


def _warnings(rows: pd.DataFrame) -> list[str]:
    lines = []
    if rows["synthetic"].any():
        lines.append(
            "Synthetic data: simulated from known effects; nothing here is a finding about real people."
        )
    verdict = rows_verdict(rows)
    return lines if verdict.ok else [*lines, f"{verdict.headline} {'; '.join(verdict.details)}"]


def _digest(frame: pd.DataFrame) -> str:
    return f"{int(pd.util.hash_pandas_object(frame, index=False).sum() % 2**32):08x}"


def _escape(text: str) -> str:
    return escape(text, quote=False)

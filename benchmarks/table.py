"""Measurements as markdown: one row a peer, with the machine and the versions above it."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import processor

COLUMNS = (
    *("peer", "data", "wall cold", "wall warm", "worst bulk ESS", "ESS/s cold", "ESS/s warm"),
    *("peak memory", "estimate ± sd", "off hitlbayes by"),
)
APART = 4.0  # Monte Carlo standard errors beyond which two samplers of one density do not agree
TITLES = {
    "log_duration": "Log duration (the treatment's coefficient, log points)",
    "rating": "Rating (the treatment's coefficient, logits)",
    "retrial": "Retrial (the treatment's coefficient, logits)",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A peer's medians; None where a quantity does not exist for it.

    rows : rows it was fitted to
    runs : how many measurements the medians are of
    full_rows, full_s : where it was fitted to some workers only, all rows that there are, and the cold time
        for them on the line through this time and that of a quarter of the rows
    ess : worst bulk effective size of hyperparameters; estimate, sd, mcse : of the treatment's coefficient
    att, att_sd : the effect on the outcome's own scale, for peers that estimate nothing else
    """

    name: str
    data: str
    rows: int
    runs: int | None = None
    full_rows: int | None = None
    full_s: float | None = None
    same: bool = False
    failed: str | None = None
    cold_s: float | None = None
    warm_s: float | None = None
    ess: float | None = None
    r_hat: float | None = None
    peak_gib: float | None = None
    estimate: float | None = None
    sd: float | None = None
    mcse: float | None = None
    att: float | None = None
    att_sd: float | None = None
    note: str | None = None


def markdown(outcome: str, rows: Sequence[Row], *, scope: str, workers: int) -> str:
    """A table of one outcome, hitlbayes first, with footnotes."""
    ours = next((row for row in rows if row.name == "hitlbayes" and row.failed is None), None)
    title = f"**{TITLES[outcome]}; {scope} chats, {workers:,} workers, synthetic**"
    lines = [
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "|".join("---" if j < 2 else "--:" for j in range(len(COLUMNS))) + "|",
    ]
    lines += ["| " + " | ".join(cells(row, ours)) + " |" for row in rows]
    most = max((row.runs or 0 for row in rows), default=0)
    notes = [f"- {row.name}, {row.data}: {row.note}" for row in rows if row.note]
    once = [f"{row.name}, {row.data}" for row in rows if (row.runs or most) < most]
    notes += [f"- Measured once, being slow: {'; '.join(once)}."] if once else []
    return "\n".join([title, "", *lines, *(["", *notes] if notes else [])])


def cells(row: Row, ours: Row | None) -> list[str]:
    """A row's texts, one a column."""
    data = f"{row.rows:,} {row.data}"
    if row.failed:
        return [row.name, data, row.failed.replace("|", "/"), *[""] * (len(COLUMNS) - 3)]
    shown = [cold(row), number(row.warm_s, unit=" s")]
    shown.append("point estimate" if row.ess is None else f"{row.ess:,.0f}")
    shown += [rate(row.ess, row.full_s or row.cold_s, guessed=bool(row.full_s)), rate(row.ess, row.warm_s)]
    shown.append(number(row.peak_gib, unit=" GiB"))
    return [row.name, data, *shown, interval(row), apart(row, ours)]


def cold(row: Row) -> str:
    """Cold wall time; an extrapolated one is marked, with the measured one beside it."""
    measured = number(row.cold_s, unit=" s")
    return f"~{three(row.full_s)} s for {row.full_rows:,} ({measured})" if row.full_s else measured


def number(value: float | None, *, unit: str) -> str:
    """A value with three digits."""
    return "–" if value is None else f"{three(value)}{unit}"


def three(value: float) -> str:
    """Three significant digits, with thousands separated."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rate(ess: float | None, seconds: float | None, *, guessed: bool = False) -> str:
    """Effective draws a second."""
    if ess is None or seconds is None:
        return "–"
    return f"{'~' if guessed else ''}{three(ess / seconds)}"


def interval(row: Row) -> str:
    """Estimate and SD; the effect on the outcome's own scale for a peer that has no other."""
    if row.estimate is not None:
        return f"{row.estimate:.4f} ± {row.sd:.4f}"
    return "–" if row.att is None else f"{row.att:.4f} ± {row.att_sd:.4f} (own scale)"


def apart(row: Row, ours: Row | None) -> str:
    """How far an estimate is from ours: in Monte Carlo errors for the same density, else in our SDs."""
    if ours is None or row is ours:
        return ""
    if row.full_rows:
        return "other chats"
    if row.same and row.mcse and ours.mcse:
        off = abs(row.estimate - ours.estimate) / (row.mcse**2 + ours.mcse**2) ** 0.5
        verdict = "" if off < APART else " **disagrees**"
        return f"{off:.1f} MC errors; sd × {row.sd / ours.sd:.2f}{verdict}"
    if row.estimate is not None:
        return f"{abs(row.estimate - ours.estimate) / ours.sd:.2f} sd (other model)"
    if row.att is not None and ours.att is not None:
        return f"{abs(row.att - ours.att) / ours.att_sd:.2f} sd of {ours.att:.4f} (other model)"
    return ""


def machine(command: str, *, absent: str, asked: Namespace, sizes: dict[str, Any]) -> str:
    """What was run, on what, with which versions."""
    import peer_r

    from hitlbayes.versions import versions

    found = versions()
    kept = ("python", "hitlbayes", "jax", "numpyro", "pymc", "pyfixest")
    python = ", ".join(f"{name} {found[name]}" for name in kept if name in found)
    r = ", ".join(f"{p} {v}" for p in ("lme4", "ordinal", "brms") if (v := peer_r.installed(p)))
    peers = f" (peers: {asked.peer_chains})" if asked.peer_chains else ""
    lines = [
        f"`{command}`",
        "",
        f"{processor()}, {len(os.sched_getaffinity(0))} cores, {memory_gib():.0f} GiB. {python}, "
        f"nutpie {installed('nutpie')}{', R: ' + r if r else ''}.",
        f"{sizes['chats']:,} synthetic chats, {sizes['ratings']:,} rated, {sizes['cells']:,} worker-days. "
        f"Samplers: {asked.chains} chains{peers} of {asked.draws:,} draws. Medians of {asked.runs} runs.",
    ]
    if absent:
        lines.append(f"Not installed here: {absent}.")
    return "\n".join(lines)


def installed(package: str) -> str:
    """Version of a Python package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def memory_gib() -> float:
    """Memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def replace_between(path: Path, *, name: str, text: str) -> None:
    """Put text between the comments `<!-- name -->` and `<!-- /name -->` of a file."""
    whole = path.read_text()
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, _, rest = whole.partition(begin)
    if end not in rest:
        raise SystemExit(f"{path} has no {begin} ... {end} to write between")
    path.write_text(f"{head}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}")

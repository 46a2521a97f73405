"""What the command line does: write a twin, describe a chat log, run one fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pandas as pd
from rich.console import Console
from rich.table import Table

from hitlbayes.chatlog import Chats, Panel, panel, read_chats
from hitlbayes.errors import SpecError, StorageError
from hitlbayes.replication.context import WORKERS, write_truth
from hitlbayes.spec.strict import did_you_mean
from hitlbayes.spec.toml import FitSpec, read_spec
from hitlbayes.twin import Parameters, simulate


def write_twin(
    out: Path, *, seed: int, scale: float, effects: Mapping[str, Mapping[str, float]] | None = None
) -> str:
    """Simulate a twin, write its chats to `out` and its truth beside it; returns a line that says so.

    Parameters
    ----------
    out : Path
        A ``.parquet`` or ``.csv`` file; the truth goes to the folder ``<stem>_truth``.
    seed : int
    scale : float
        Share of the paper's 647 workers; above 1 for a larger experiment.
    effects : mapping of outcome to mapping of name to float, optional
        Effects that replace the calibrated ones: ``{"rating": {"emotional": -2.0}}``.

    Raises
    ------
    SpecError
        The suffix is neither, the scale is not positive, or an effect's name is unknown.
    """
    if out.suffix not in (".parquet", ".csv"):
        raise SpecError(f"{out.name}: expected a name that ends in .parquet or .csv")
    if not out.parent.is_dir():
        raise StorageError(f"the folder {out.parent} does not exist: make it first")
    if not scale > 0:
        raise SpecError(f"scale={scale:g}: expected a positive share of {WORKERS} workers")
    twin = simulate(seed=seed, workers=round(WORKERS * scale), effects=changed_effects(effects or {}))
    if out.suffix == ".parquet":
        twin.chats.to_parquet(out, index=False)
    else:
        twin.chats.to_csv(out, index=False)
    folder = out.with_name(f"{out.stem}_truth")
    folder.mkdir(exist_ok=True)
    write_truth(twin.truth, folder=folder)
    workers = twin.chats["worker_id"].nunique()
    return (
        f"SYNTHETIC: {len(twin.chats):,} chats of {workers} workers (seed {seed}) in {out}, truth in {folder}"
    )


def changed_effects(changes: Mapping[str, Mapping[str, float]]) -> Any:
    """The calibrated effects with some of them replaced.

    Parameters
    ----------
    changes : mapping of outcome to mapping of name to float

    Raises
    ------
    SpecError
        An outcome or a name is unknown; the nearest known one is suggested.

    Examples
    --------
    >>> changed_effects({"rating": {"emotional": -2.0}}).rating.emotional
    -2.0
    """
    effects = Parameters.load().effects
    for outcome, values in changes.items():
        _known(outcome, [field.name for field in dataclasses.fields(effects)], what="outcome")
        effect = getattr(effects, outcome)
        for name in values:
            _known(name, [field.name for field in dataclasses.fields(effect)], what=f"effect on {outcome}")
        effects = dataclasses.replace(effects, **{outcome: dataclasses.replace(effect, **values)})
    return effects


def describe_chats(
    file: str,
    *,
    columns: Mapping[str, str] | None = None,
    tz: str | None = None,
    start: str | None = None,
    outcome: str | None = None,
    treated_level: str | None = None,
    console: Console | None = None,
) -> None:
    """Check a chat log against the schema and print what it holds: arms, periods, and each variable's range.

    Raises
    ------
    SchemaError, DesignError
        The log breaks the schema.
    """
    chats = read_chats(
        file, columns=columns or None, tz=tz, start=start, outcome=outcome, treated_level=treated_level
    )
    console = console or Console()
    console.print(f"{file}: {chats.n:,} chats pass the schema", markup=False, highlight=False)
    console.print(_arms(chats), _variables(chats))


def run_fit(spec_path: Path, file: str, *, out: Path | None, console: Console | None = None) -> bool:
    """Fit what a TOML file asks for, print the summary, save where asked; True where the checks passed.

    Raises
    ------
    HitlbayesError
        The specification, the data or the design is wrong.
    """
    spec = read_spec(spec_path)
    if out is not None and not out.parent.is_dir():
        raise StorageError(f"the folder {out.parent} does not exist: make it first")
    from hitlbayes.studies import fit_did  # starts JAX, which nothing else here needs

    fit = fit_did(_data(spec, file), **spec.fit_arguments())
    console = console or Console()
    console.print(repr(fit), markup=False, highlight=False)
    if out is not None:
        fit.save(out)
        console.print(f"saved {out}", markup=False)
    check = fit.check()
    if not check.ok:
        console.print(f"FAILED ITS CHECKS: {'; '.join(check.problems)}", style="bold red", markup=False)
    return bool(check.ok)


def _data(spec: FitSpec, file: str) -> Panel | pd.DataFrame:
    if not spec.is_frame:
        return panel(read_chats(file, **spec.read_arguments()), **spec.panel_arguments())
    path = Path(file)
    if not path.is_file():
        raise StorageError(f"no file at {file}")
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def _arms(chats: Chats) -> Table:
    found = chats.table
    counts = (
        found.group_by(["treated", "post"])
        .agg(workers=found.worker_id.nunique(), chats=found.count())
        .order_by(["treated", "post"])
        .to_pandas()
    )
    table = Table("arm", "period", "workers", "chats", title="arms and periods", title_justify="left")
    for row in counts.itertuples(index=False):
        arm, period = "treated" if row.treated else "control", "after" if row.post else "before"
        table.add_row(arm, period, f"{row.workers:,}", f"{row.chats:,}")
    return table


def _variables(chats: Chats) -> Table:
    # One query for all columns: a CSV file is parsed anew for each.
    found = chats.table.aggregate(_moments(chats)).to_pandas().iloc[0].to_dict()
    table = Table("variable", "present", "mean", "min", "max", title="variables", title_justify="left")
    for name in chats.table.columns:
        share = f"{found[f'{name}:present'] / chats.n:.1%}" if chats.n else "–"
        values = [found.get(f"{name}:{how}") for how in ("mean", "min", "max")]
        table.add_row(name, share, *("" if pd.isna(value) else _short(float(value)) for value in values))
    return table


def _moments(chats: Chats) -> dict[str, ir.Value]:
    moments: dict[str, ir.Value] = {}
    for name in chats.table.columns:
        column = chats.table[name]
        moments[f"{name}:present"] = column.count()
        if column.type().is_numeric() and not name.endswith("_id"):
            moments |= {
                f"{name}:mean": column.mean(),
                f"{name}:min": column.min(),
                f"{name}:max": column.max(),
            }
    return moments


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _known(name: str, names: list[str], *, what: str) -> None:
    if name not in names:
        raise SpecError(f"no {what} {name!r}{did_you_mean(name, names)} (known: {', '.join(names)})")

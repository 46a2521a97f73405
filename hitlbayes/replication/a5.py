"""Table A5: balance of AI chats and their matched controls by escalation type, published and in the twin."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from scipy.stats import ttest_ind

from hitlbayes.design.balance import balance
from hitlbayes.design.matched_types import MatchedTypes
from hitlbayes.published import table
from hitlbayes.replication.context import Context, twin_unit
from hitlbayes.replication.escalation import matched_of
from hitlbayes.replication.specs import table_spec
from hitlbayes.replication.store import folder_of
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit

TABLE = "A5"
# Published row names of workers' averages before the start, and the matched pool's.
WORKER = {
    "duration": "past_duration",
    "resolution_rate": "past_resolution",
    "rating": "past_rating",
    "concurrency": "past_workload",
}
MOMENTS = ("before_difference", "after_difference", "after_variance_ratio", "after_ecdf_max")


def units(context: Context) -> list[Unit]:
    """Its comparisons, made once."""
    return [_unit(context)]


def result(context: Context) -> TableResult:
    """Its comparisons beside the published ones, sizes and differences before and after."""
    spec, folder = table_spec(TABLE), folder_of(context.root, _unit(context).key)
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=pd.read_csv(folder / "balance.csv"),
        effects=None,
        fits=0,
        failed=(),
        more={name: pd.read_csv(folder / f"{name}.csv") for name in ("sizes", "differences")},
    )


def beside_published(matched: MatchedTypes, *, published: pd.DataFrame) -> pd.DataFrame:
    """Means of both arms and p-values of a t test, as printed and in the twin, type by type.

    Parameters
    ----------
    matched : MatchedTypes
    published : DataFrame
        `hitlbayes.published.table("A5")`.

    Returns
    -------
    DataFrame
        ``type``, ``variable``, ``units``, ``published_treated``, ``published_control``, ``published_p``,
        ``twin_treated``, ``twin_control``, ``twin_p``, ``twin_difference`` (standardised).
    """
    rows = []
    for kind, one in matched.matches.items():
        after = balance(one)["after_difference"]
        printed = published[published["row"] == kind]
        arms = one.weights > 0
        for (panel, name), part in printed.groupby(["panel", "column"], sort=False):
            values = _values(one.frame, panel=str(panel), name=str(name))
            if values is None:
                continue
            treated, control = values[arms & one.treated], values[arms & ~one.treated]
            means = part[part["quantity"] == "mean"].set_index("arm")["value"]
            p = part.loc[part["quantity"] == "p_value", "value"]
            known = {_key(str(panel), str(name)), WORKER.get(str(name), ""), str(name)} & set(after.index)
            rows.append(
                {
                    "type": kind,
                    "variable": f"{panel}: {name}",
                    "units": part.loc[part["quantity"] == "mean", "units"].iloc[0],
                    "published_treated": means["treated"],
                    "published_control": means["control"],
                    "published_p": float(p.iloc[0]) if len(p) else float("nan"),
                    "twin_treated": treated.mean(),
                    "twin_control": control.mean(),
                    "twin_p": float(ttest_ind(treated, control).pvalue) if values.std() > 0 else float("nan"),
                    "twin_difference": float(after[known.pop()]) if known else float("nan"),
                    "synthetic": True,
                }
            )
    return pd.DataFrame(rows)


def _key(panel: str, name: str) -> str:
    return f"issue[{name}]" if panel == "issue" else name


def _values(frame: pd.DataFrame, *, panel: str, name: str) -> pd.Series | None:
    if panel == "issue":
        return (frame["issue"] == name).astype(float)
    column = WORKER.get(name, name) if panel == "worker" else name
    return frame[column].astype(float) if column in frame else None


def _unit(context: Context) -> Unit:
    return Unit(
        name="Table A5",
        key=context.key(what="table_a5", twin=twin_unit(context).key),
        cost=1.0,
        write=lambda folder: _write(folder, context=context),
    )


def _write(folder: Path, *, context: Context) -> None:
    matched = matched_of(context)
    beside_published(matched, published=table(TABLE)).to_csv(folder / "balance.csv", index=False)
    sizes = matched.sizes()
    printed = table(TABLE).query("quantity == 'mean' and arm == 'treated'").groupby("row")["n"].first()
    sizes.insert(2, "published_matched", printed.reindex(sizes.index).astype(int))
    sizes.reset_index().to_csv(folder / "sizes.csv", index=False)
    matched.balance()[list(MOMENTS)].reset_index().to_csv(folder / "differences.csv", index=False)

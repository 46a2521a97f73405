"""Table A1: balance of workers and worker-days before the start, published and in the synthetic twin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from scipy.stats import t

from hitlbayes.design.arms import ArmBalance, compare_arms
from hitlbayes.published import table
from hitlbayes.replication.context import Context, chats_path, panel_of, twin_unit
from hitlbayes.replication.specs import table_spec
from hitlbayes.replication.store import folder_of
from hitlbayes.replication.table_result import TableResult
from hitlbayes.replication.work import Unit

TABLE = "A1"
LEVELS = {"worker": "worker", "chat": "worker-day"}  # of the published panels
TESTS = ("p_t", "p_rank_sum", "p_clustered", "p_randomized", "p_randomized_rank")


def units(context: Context) -> list[Unit]:
    """Its comparisons, made once."""
    return [_unit(context)]


def result(context: Context) -> TableResult:
    """Its comparisons beside the published ones."""
    spec = table_spec(TABLE)
    return TableResult(
        table=TABLE,
        title=spec.title,
        question=spec.question,
        note=spec.note,
        frame=pd.read_csv(folder_of(context.root, _unit(context).key) / "balance.csv"),
        effects=None,
        fits=0,
        failed=(),
    )


def beside_published(found: ArmBalance, *, published: pd.DataFrame, panel: str) -> pd.DataFrame:
    """A comparison of arms with the printed means, SDs and p-values, and the joint test as a last row.

    Parameters
    ----------
    found : ArmBalance
        Of the published rows of `panel`, in the twin.
    published : DataFrame
        `hitlbayes.published.table("A1")`.
    panel : {"worker", "chat"}

    Returns
    -------
    DataFrame
        ``variable``, ``level``, ``units``, the published means, SDs and p, ``published_std_difference``
        (see `std_difference_of_p`), and the twin's with its five tests.
    """
    wide = found.table.set_index("variable")
    rows = []
    for name in printed_variables(published, panel=panel):
        row = published[(published["panel"] == panel) & (published["row"] == name)]
        means = row[row["quantity"] == "mean"].set_index("arm")
        one, two = (means.loc[arm].to_dict() for arm in ("treated", "control"))
        p = row.loc[row["quantity"] == "p_value", "value"]
        twin = wide.loc[name]
        rows.append(
            {
                "variable": name,
                "level": LEVELS[panel],
                "units": one["units"],
                **{f"published_{arm}": means.loc[arm, "value"] for arm in ("treated", "control")},
                **{f"published_sd_{arm}": means.loc[arm, "sd"] for arm in ("treated", "control")},
                "published_std_difference": std_difference_of_p(
                    float(p.iloc[0]),
                    n=(float(one["n"]), float(two["n"])),
                    sign=float(one["value"] - two["value"]),
                ),
                "published_p": float(p.iloc[0]),
                **{f"twin_{arm}": twin[f"mean_{arm}"] for arm in ("treated", "control")},
                **{f"twin_sd_{arm}": twin[f"sd_{arm}"] for arm in ("treated", "control")},
                "twin_std_difference": twin["std_difference"],
                **{f"twin_{test}": twin[test] for test in TESTS},
                "synthetic": True,
            }
        )
    together = {"variable": "all together", "level": LEVELS[panel], "units": "", "synthetic": True}
    return pd.DataFrame([*rows, together | {"twin_p_randomized": found.joint_p}])


def std_difference_of_p(p: float, *, n: tuple[float, float], sign: float) -> float:
    """Standardised difference that a two-sample t test with this p-value implies.

    Printed means have two decimals, which leaves the difference of .44 and .45 in doubt by its own size; the
    p-values have three and are those of t tests with equal variances (`hitlbayes.published.audit`).

    Parameters
    ----------
    p : float
    n : rows of the two arms
    sign : of the difference of the printed means; 0, where they are alike, gives NaN

    Examples
    --------
    >>> round(std_difference_of_p(0.431, n=(302, 345), sign=1.0), 4), round((34.35 - 33.92) / 6.87, 4)
    (0.0621, 0.0626)
    """
    if not sign:
        return float("nan")
    size = t.isf(p / 2, n[0] + n[1] - 2) * np.sqrt(1 / n[0] + 1 / n[1])
    return float(np.sign(sign) * size)


def printed_variables(published: pd.DataFrame, *, panel: str) -> list[str]:
    """Variables of one panel of the published table, in its order."""
    means = published[(published["panel"] == panel) & (published["quantity"] == "mean")]
    return list(dict.fromkeys(means["row"]))


def _unit(context: Context) -> Unit:
    return Unit(
        name="Table A1",
        key=context.key(what="table_a1", twin=twin_unit(context).key),
        cost=2.0,
        write=lambda folder: _write(folder, context=context),
    )


def _write(folder: Path, *, context: Context) -> None:
    published = table(TABLE)
    people = printed_variables(published, panel="worker")
    chats = pq.read_table(chats_path(context), columns=["worker_id", "treated", *people]).to_pandas()
    means = panel_of(context, scope="all", period="day").means
    days = means[means["post"] == 0]
    found = {
        "worker": compare_arms(chats.drop_duplicates("worker_id"), columns=people, level="worker"),
        "chat": compare_arms(
            days, columns=printed_variables(published, panel="chat"), unit="unit", level="worker-day"
        ),
    }
    frames = [beside_published(one, published=published, panel=panel) for panel, one in found.items()]
    pd.concat(frames, ignore_index=True).to_csv(folder / "balance.csv", index=False)

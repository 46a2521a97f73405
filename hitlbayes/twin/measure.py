"""What the paper prints, measured on one synthetic experiment under flat keys such as T2.all.rating.se."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from hitlbayes.twin.estimator import Estimate, Floats, index_periods, period_means, two_way
from hitlbayes.twin.matched import matched_effects
from hitlbayes.twin.simulate import Twin

DAY_TABLES, HOUR_TABLES = ("T2", "T3", "T4", "T7", "A2"), ("A4",)
PARTS = ("estimate", "se", "n", "r2")
SHARES = "human_share"
COUNTS = {"A1.days.treated": 3320.0, "A1.days.control": 3994.0, "T1.responded.mean": 115_243 / 680_676}
"""Worker-days before the start by arm (Table A1), and rated chats (Section 3.5)."""


def targets() -> dict[str, Any]:
    """Published figures by table, from `targets.toml`."""
    return _read("targets.toml")


def exemptions() -> list[dict[str, Any]]:
    """Printed figures that the twin does not meet: table, keys (prefixes of measured keys), reason."""
    return _read("exemptions.toml")["exempt"]


def tensions() -> list[dict[str, Any]]:
    """Printed figures that pull against each other and are met only in part; same layout as `exemptions`."""
    return _read("exemptions.toml")["tension"]


def flat_targets() -> dict[str, float]:
    """Published figures under the keys of `measure`."""
    out: dict[str, float] = {}
    for table, groups in targets().items():
        for group, row in groups.items():
            if table == "T1":
                out |= _pair(f"T1.{group}", row)
            elif table == "A1":
                out |= _pair(f"A1.{group}.treated", row[:2]) | _pair(f"A1.{group}.control", row[2:])
            elif table == "T6":
                for name, values in row.items():
                    out |= _pair(f"T6.{group}.{name}", values)
            elif table == "A5":
                out |= {f"A5.{group}.{name}": value for name, value in row.items()}
            else:
                for name, values in row.items():
                    keys = (f"{table}.{group}.{name}.{part}" for part in PARTS)
                    out |= dict(zip(keys, values, strict=True))
    return out | COUNTS


def measure(twin: Twin, *, matched: bool = True, hours: bool = True) -> dict[str, float]:
    """Coefficients, standard errors, sizes, R-squared and moments of one experiment.

    Parameters
    ----------
    twin : Twin
    matched, hours : bool
        Leave out Table 5 and Table A5, or Table A4, to save time.

    Returns
    -------
    dict
        Key -> value, keys as in `flat_targets`.
    """
    chats = twin.chats
    out = coefficients(chats, tables=DAY_TABLES, period="day")
    if hours:
        out |= coefficients(chats, tables=HOUR_TABLES, period="hour")
    if matched:
        for name, row in matched_effects(chats).items():
            for outcome, estimate in row.items():
                out |= _estimate(f"T5.{name}.{outcome}", estimate)
        out |= eligible_moments(chats)
    return out | chat_moments(chats) | balance_moments(chats) | effort_moments(chats)


def coefficients(chats: pd.DataFrame, *, tables: tuple[str, ...], period: str) -> dict[str, float]:
    """Two-way fixed-effects estimates of the tables that use this period."""
    index = index_periods(chats, period=period)
    eligible = chats["eligible"].to_numpy() == 1
    scopes = {"all": np.ones(eligible.size, dtype=bool), "eligible": eligible, "ineligible": ~eligible}
    out: dict[str, float] = {}
    for table in tables:
        for scope, row in targets()[table].items():
            for outcome in row:
                y = period_means(values(chats, name=outcome), index=index, part=scopes[scope])
                out |= _estimate(f"{table}.{scope}.{outcome}", two_way(y, index=index))
    return out


def values(chats: pd.DataFrame, *, name: str) -> Floats:
    """A column as floats, NaN where missing; `log_duration` and `responded` are derived."""
    if name == "log_duration":
        return np.log(chats["duration"].to_numpy(dtype=float))
    if name == "responded":
        return chats["rating"].notna().to_numpy().astype(float)
    return chats[name].to_numpy(dtype=float, na_value=np.nan)


def chat_moments(chats: pd.DataFrame) -> dict[str, float]:
    """Table 1: means and SDs over workers (demographics) and chats."""
    out: dict[str, float] = {}
    people = chats.drop_duplicates("worker_id")
    for name in targets()["T1"]:
        frame = people if name in {"age", "male", "tenure", "treat"} else chats
        data = values(frame, name="treated" if name == "treat" else name)
        out |= {f"T1.{name}.mean": float(np.nanmean(data)), f"T1.{name}.sd": float(np.nanstd(data, ddof=1))}
    out["T1.responded.mean"] = float(values(chats, name="responded").mean())
    return out


def balance_moments(chats: pd.DataFrame) -> dict[str, float]:
    """Table A1: means and SDs before the start, over workers and over worker-days, by arm."""
    people = chats.drop_duplicates("worker_id")
    before = chats[chats["post"] == 0]
    index = index_periods(before)
    arm = _cell_arm(before, cell=index.cell)
    everything = np.ones(len(before), dtype=bool)
    out: dict[str, float] = {}
    for name in targets()["A1"]:
        for label, code in (("treated", 1), ("control", 0)):
            if name in {"age", "male", "tenure"}:
                data = values(people[people["treated"] == code], name=name)
            else:
                data = period_means(values(before, name=name), index=index, part=everything)[arm == code]
            out |= _pair(f"A1.{name}.{label}", (float(np.nanmean(data)), float(np.nanstd(data, ddof=1))))
    out["A1.days.treated"], out["A1.days.control"] = float((arm == 1).sum()), float((arm == 0).sum())
    return out


def effort_moments(chats: pd.DataFrame) -> dict[str, float]:
    """Table 6: means and SDs after a takeover, by escalation type."""
    taken = chats[chats["human_rounds"].notna()]
    out: dict[str, float] = {}
    for kind, row in targets()["T6"].items():
        part = taken[taken["escalation"] == kind]
        for name in row:
            source = part["human_rounds"] / part["rounds"] if name == SHARES else part[name]
            data = source.to_numpy(dtype=float)
            out |= _pair(f"T6.{kind}.{name}", (float(data.mean()), float(data.std(ddof=1))))
    return out


def eligible_moments(chats: pd.DataFrame) -> dict[str, float]:
    """Table A5, treated rows: customers and workers of AI chats by escalation type; sizes of the types."""
    before = chats[chats["post"] == 0].groupby("worker_id")
    past = pd.DataFrame(
        {
            "worker_duration": before["duration"].mean(),
            "worker_resolution": 1 - before["retrial"].mean(),
            "worker_rating": before["rating"].mean().astype(float),
            "worker_concurrency": before["concurrency"].mean(),
        }
    )
    treated = chats[chats["ai"] == 1].join(past, on="worker_id")
    out: dict[str, float] = {}
    for kind, row in targets()["A5"].items():
        part = treated[treated["escalation"] == kind]
        out |= {f"A5.{kind}.{name}": float(part[name].mean()) for name in row}
        out[f"A5.{kind}.n"] = float(len(part))
    return out


def _cell_arm(chats: pd.DataFrame, *, cell: np.ndarray) -> np.ndarray:
    arm = np.zeros(int(cell.max()) + 1, dtype=int)
    arm[cell] = chats["treated"].to_numpy()
    return arm


def _estimate(key: str, estimate: Estimate) -> dict[str, float]:
    return {f"{key}.{part}": float(getattr(estimate, part)) for part in PARTS}


def _pair(key: str, pair: tuple[float, float] | list[float]) -> dict[str, float]:
    return {f"{key}.mean": float(pair[0]), f"{key}.sd": float(pair[1])}


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("hitlbayes.twin").joinpath(name).read_text("utf-8"))

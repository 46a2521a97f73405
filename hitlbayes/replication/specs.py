"""What each replicated table estimates: one TOML file a table, checked."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hitlbayes.errors import SpecError
from hitlbayes.spec.strict import explain, load_toml, refuse_unknown_keys
from hitlbayes.spec.toml import Family, Period, Scope, parse_spec


class TableSpec(BaseModel):
    """One table of the paper as a set of fits, one per scope and outcome.

    Attributes
    ----------
    table : str
        Its name in the paper, as in `hitlbayes.published.table`.
    title, question, note : str
        What the table is called, asks, and what a reader must know.
    period : {"day", "hour"}
        Length of a period.
    scopes, outcomes : list of str
        Its panels and columns.
    faithful : bool
        Also fit the paper's own likelihood: unweighted means with its lagged controls.
    fit : dict
        Keywords of `hitlbayes.fit_did`, the same for every fit of the table.
    draws : dict of str to int
        Draws of each chain for outcomes that need more, or fewer, than `fit` says.
    families : dict of str to str
        Family of an outcome where it is not the panel's own.
    keep : list of str
        Outcomes whose fits are kept whole, for the parts that look into them.
    cost : dict of str to float
        Seconds that a fit of each outcome takes at full size; only ratios matter (for the time left).
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    table: str
    title: str
    question: str
    note: str = ""
    period: Period = "day"
    scopes: list[Scope]
    outcomes: list[str]
    faithful: bool = True
    fit: dict[str, Any] = Field(default_factory=dict)
    draws: dict[str, int] = Field(default_factory=dict)
    families: dict[str, Family] = Field(default_factory=dict)
    keep: list[str] = Field(default_factory=list)
    cost: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cell:
    """One fit of a table: its scope, its outcome and the keywords of `hitlbayes.fit_did`."""

    table: str
    scope: Scope
    outcome: str
    period: Period
    arguments: dict[str, Any]
    cost: float


def table_spec(name: str) -> TableSpec:
    """The specification that ships with the package for one table.

    Parameters
    ----------
    name : str
        ``"2"``, ``"A4"``, ...

    Raises
    ------
    SpecError
        There is no specification for the table, or it has an unknown key or a wrong value.

    Examples
    --------
    >>> table_spec("4").scopes, table_spec("A4").period
    (['ineligible'], 'hour')
    """
    source = f"{module_name(name)}.toml"
    values = load_toml(str(files("hitlbayes.replication") / source))
    refuse_unknown_keys(values, known=TableSpec.model_fields, source=source)
    try:
        return TableSpec(**values)
    except ValidationError as error:
        raise SpecError(f"{source}: {explain(error)}") from None


def module_name(name: str) -> str:
    """Name of the module and of the TOML file of a table.

    Examples
    --------
    >>> module_name("3"), module_name("A4")
    ('table3', 'a4')
    """
    return name.lower() if name[:1].isalpha() else f"table{name}"


def cells(spec: TableSpec, *, seed: int) -> list[Cell]:
    """The fits of a table, panel by panel.

    Parameters
    ----------
    spec : TableSpec
    seed : int
        Seed of every fit.

    Examples
    --------
    >>> [(cell.scope, cell.outcome) for cell in cells(table_spec("2"), seed=1)]
    [('all', 'log_duration'), ('all', 'retrial'), ('all', 'rating')]
    """
    found = []
    for scope in spec.scopes:
        for outcome in spec.outcomes:
            given = {"outcome": outcome, "scope": scope, "period": spec.period, "seed": seed, **spec.fit}
            given |= {"draws": spec.draws[outcome]} if outcome in spec.draws else {}
            given |= {"family": spec.families[outcome]} if outcome in spec.families else {}
            fit = parse_spec(given, source=f"{module_name(spec.table)}.toml")
            found.append(
                Cell(
                    table=spec.table,
                    scope=scope,
                    outcome=outcome,
                    period=spec.period,
                    arguments=fit.fit_arguments(),
                    cost=spec.cost.get(outcome, 10.0),
                )
            )
    return found

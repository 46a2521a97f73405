"""Files that people write by hand: read strictly, and wrong keys answered with the right ones."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hitlbayes.errors import SpecError


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question with the known name that a wrong one most resembles; empty where none does.

    Examples
    --------
    >>> did_you_mean("scpoe", ["scope", "seed"])
    ", did you mean 'scope'?"
    >>> did_you_mean("zzz", ["scope", "seed"])
    ''
    """
    known = {known.lower(): known for known in names}
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.55)
    return f", did you mean {known[near[0]]!r}?" if near else ""


def load_toml(path: str | Path) -> dict[str, Any]:
    """The contents of a TOML file, or a `SpecError` that says why it cannot be read."""
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(f"no specification at {path}: give the path of a TOML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read the specification {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path.name} is not TOML: {error}") from None


def refuse_unknown_keys(values: Mapping[str, Any], *, known: Iterable[str], source: str) -> None:
    """Raise a `SpecError` that names every unknown key and the known one it most resembles."""
    names = sorted(known)
    problems = []
    for key in values:
        if key in names:
            continue
        problems.append(f"unknown key {key!r}{did_you_mean(key, names)}")
    if problems:
        raise SpecError(f"{source}: {'; '.join(problems)} (known keys: {', '.join(names)})")


def explain(error: ValidationError) -> str:
    """One line for the first things that pydantic found wrong: key, what was found, what was expected."""
    lines = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if not where:
            lines.append(message)
            continue
        value = "" if problem["type"] == "missing" else f" = {problem['input']!r}"
        lines.append(f"{where}{value}: {message}{_nearest(problem)}")
    return "; ".join(lines)


def _nearest(problem: Mapping[str, Any]) -> str:
    if problem["type"] != "literal_error" or not isinstance(problem["input"], str):
        return ""
    choices = problem["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
    return did_you_mean(problem["input"], choices)

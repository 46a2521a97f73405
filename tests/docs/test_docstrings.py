"""The examples in the docstrings of public names, of their methods, and of the public modules' names run."""

from __future__ import annotations

import doctest
import inspect
import sys
from types import ModuleType

import pytest

import hitlbayes as hb

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Need a matched log or several fits: used in docs/howto.md, notebooks/02 and the tests of their modules.
ELSEWHERE = {"anchor_escalation", "complete_pairs", "rematch", "sentiment_path"}
LONG = ("check_proportional_odds", "fit_effort", "fit_timing")  # more than half a minute of one core


def public() -> dict[str, object]:
    """Functions and classes that a user reaches from `hitlbayes`, each once."""
    found: dict[int, tuple[str, object]] = {}
    for name in hb.__all__:
        thing = getattr(hb, name)
        inside = getattr(thing, "__all__", ()) if isinstance(thing, ModuleType) else ()
        for key, value in [(name, thing), *((f"{name}.{k}", getattr(thing, k)) for k in inside)]:
            if inspect.isfunction(value) or inspect.isclass(value):
                found.setdefault(id(value), (key, value))
    return dict(found.values())


def examples() -> list[doctest.DocTest]:
    """Docstrings with examples, each with the names of its own module."""
    finder, tests = doctest.DocTestFinder(), []
    for name, thing in public().items():
        module = sys.modules[thing.__module__]
        tests += finder.find(thing, name, module=module, globs=dict(vars(module)))
    return [test for test in tests if test.examples]


def cases() -> list:
    return [
        pytest.param(test, id=test.name, marks=[pytest.mark.slow] if test.name in LONG else [])
        for test in examples()
    ]


@pytest.mark.parametrize("test", cases())
def test_the_example_of_a_docstring_gives_what_it_says(test, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=told.append)
    assert result.failed == 0, "".join(told)
    assert result.attempted > 0


def test_public_functions_have_examples():
    shown = {test.name for test in examples()}
    functions = {name for name, thing in public().items() if inspect.isfunction(thing) and "." not in name}
    assert sorted(functions - shown - ELSEWHERE) == []

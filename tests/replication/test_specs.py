from __future__ import annotations

import math
from pathlib import Path

import pytest

from hitlbayes.errors import SpecError
from hitlbayes.published import tables
from hitlbayes.replication.did import published_estimate
from hitlbayes.replication.event import notable
from hitlbayes.replication.specs import cells, module_name, table_spec
from hitlbayes.replication.tables import TABLES, chosen

PRINTED = [name for name in TABLES if name in tables()]
SCRIPTS = {name: f"table_{name.lower()}" if name[0] == "A" else f"table{name}" for name in PRINTED}
WITHOUT_FITS = ("1", "A1", "A3", "5", "A5", "6")  # 5, 6: their fits are of types, in their modules


@pytest.mark.parametrize("name", [name for name in PRINTED if name not in WITHOUT_FITS])
def test_every_fit_of_a_table_has_a_published_estimate(name):
    spec = table_spec(name)
    assert spec.table == TABLES[name].TABLE == name
    for cell in cells(spec, seed=7):
        printed = published_estimate(name, scope=cell.scope, outcome=cell.outcome)
        assert printed["se"] > 0
        assert cell.arguments["seed"] == 7


def test_the_tables_have_the_papers_fits():
    count = {name: len(cells(table_spec(name), seed=1)) for name in PRINTED}
    assert count == dict.fromkeys(WITHOUT_FITS, 0) | {"2": 3, "3": 3, "4": 3, "7": 3, "A2": 3, "A4": 9}


def test_an_outcome_may_have_its_own_number_of_draws():
    spec = table_spec("A4")
    asked = {cell.outcome: cell.arguments["draws"] for cell in cells(spec, seed=1)}
    assert asked == {outcome: spec.draws.get(outcome, spec.fit["draws"]) for outcome in spec.outcomes}
    assert len(set(asked.values())) > 1


@pytest.mark.parametrize("name", TABLES)
def test_every_part_has_a_specification_and_a_script(name):
    spec = table_spec(name)
    assert spec.table == TABLES[name].TABLE == name
    assert spec.title
    assert spec.question
    script = Path(__file__).parents[2] / "paper_replication" / f"{SCRIPTS.get(name, name)}.py"
    assert f'"--only", "{name}"' in script.read_text()


def test_a_difference_before_the_start_matters_from_half_the_published_effect():
    assert notable("log_duration", scope="eligible", units="percent") == pytest.approx(
        -100 * math.expm1(-0.084)
    )
    assert notable("retrial", scope="eligible", units="percentage points") == pytest.approx(1.15)


def test_parts_keep_their_order_and_unknown_ones_are_named():
    assert chosen(["a4", "2", "published"]) == ("published", "2", "A4")
    assert chosen(None) == ("published", *TABLES)
    with pytest.raises(SpecError, match="no part '22', did you mean '2'"):
        chosen(["22"])


def test_misspelt_key_of_a_table_specification(tmp_path, monkeypatch):
    monkeypatch.setattr("hitlbayes.replication.specs.files", lambda package: tmp_path)
    (tmp_path / f"{module_name('2')}.toml").write_text('table = "2"\nscopse = ["all"]\n')
    with pytest.raises(SpecError, match="'scopse', did you mean 'scopes'"):
        table_spec("2")

"""Reading: sources, names, and what is refused at the door."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from hitlbayes.chatlog import panel, read_chats
from hitlbayes.errors import HitlbayesError, SchemaError, SpecError

from .logs import small

OTHER_NAMES = {
    "worker_id": "agent", "start_time": "opened_at", "treated": "arm", "post": "after", "duration": "seconds",
}  # fmt: skip


def test_other_peoples_names_give_the_same_panel():
    log = small().rename(columns=OTHER_NAMES)
    found = panel(read_chats(log, columns=OTHER_NAMES))
    pd.testing.assert_frame_equal(found.cells, panel(small()).cells)


def test_messages_use_both_names():
    log = small().rename(columns=OTHER_NAMES).assign(seconds=[-1.0, *[1.0] * 7])
    with pytest.raises(SchemaError, match=r"column 'duration' \(yours: 'seconds'\): 1 of 8"):
        read_chats(log, columns=OTHER_NAMES)


@pytest.mark.parametrize("name", ["worker_id", "start_time", "treated"])
def test_a_missing_column_is_named(name):
    with pytest.raises(
        SchemaError, match=rf"column '{name}' is missing(?s:.*)found: 13 columns(?s:.*)columns={{'{name}'"
    ):
        read_chats(small().drop(columns=name))


def test_a_near_name_is_suggested():
    with pytest.raises(SchemaError, match=r"'worker_id' is missing \(did you mean 'workerid'\?\)"):
        read_chats(small().rename(columns={"worker_id": "workerid"}))


def test_a_mapped_column_must_exist():
    with pytest.raises(SchemaError, match=r"column 'agnt' is missing"):
        read_chats(small().rename(columns=OTHER_NAMES), columns={**OTHER_NAMES, "worker_id": "agnt"})


def test_a_mapping_from_an_unknown_name_is_refused():
    with pytest.raises(
        SpecError, match=r"'worker', which is not a canonical column\. Did you mean 'worker_id'\?"
    ):
        read_chats(small(), columns={"worker": "agent"})


@pytest.mark.parametrize(
    ("outcome", "needs"), [("log_duration", "duration"), ("responded", "rating"), ("away_time",) * 2]
)
def test_the_outcome_asked_for_must_be_there(outcome, needs):
    with pytest.raises(SchemaError, match=f"column '{needs}' is missing"):
        read_chats(small().drop(columns=needs, errors="ignore"), outcome=outcome)


def test_without_post_the_start_is_needed():
    log = small().drop(columns="post")
    with pytest.raises(SchemaError, match=r"no 'post' column and start is not given"):
        read_chats(log)
    assert read_chats(log, start="2024-08-15").to_pandas()["post"].tolist() == small()["post"].tolist()


@pytest.mark.parametrize("start", ["soon", "2024-08-15T00:00+08:00"])
def test_a_start_that_is_no_local_day_is_refused(start):
    with pytest.raises(SpecError, match="start="):
        read_chats(small().drop(columns="post"), start=start)


def test_an_empty_log_is_refused():
    with pytest.raises(SchemaError, match="no rows"):
        read_chats(small().iloc[:0])


def test_a_file_that_is_not_parquet(tmp_path):
    path = tmp_path / "chats.parquet"
    path.write_text("worker_id,start_time\na,2024-08-14\n")
    with pytest.raises(SchemaError, match=r"cannot be read as a Parquet file: .*magic bytes"):
        read_chats(path)


def test_a_parquet_file_cut_short(tmp_path):
    path = tmp_path / "chats.parquet"
    small().to_parquet(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SchemaError, match="cannot be read as a Parquet file"):
        read_chats(path)


def test_a_file_of_an_unknown_kind(tmp_path):
    path = tmp_path / "chats.xlsx"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(SchemaError, match=r"not of a known kind(?s:.*)Parquet .*\.parquet"):
        read_chats(path)


def test_parquet_is_recognised_without_its_suffix(tmp_path):
    small().to_parquet(tmp_path / "chats")
    assert read_chats(tmp_path / "chats").n == 8


@pytest.mark.parametrize("source", ["nowhere.parquet", "nothing-*.csv"])
def test_a_path_that_matches_nothing(source):
    with pytest.raises(SchemaError, match="no file matches"):
        read_chats(source)


def test_folders_and_lists_of_files(tmp_path):
    for k in range(2):
        folder = tmp_path / f"month-{k}"
        folder.mkdir()
        small().iloc[4 * k : 4 * k + 4].to_parquet(folder / "chats.parquet")
    assert read_chats(tmp_path).n == 8
    assert read_chats([tmp_path / "month-0" / "chats.parquet", tmp_path / "month-1"]).n == 8


def test_files_with_different_columns_are_refused(tmp_path):
    small().to_parquet(tmp_path / "a.parquet")
    small().drop(columns="rating").to_parquet(tmp_path / "b.parquet")
    with pytest.raises(SchemaError, match=r"different columns: .*b\.parquet' lacks \['rating'\]"):
        read_chats(str(tmp_path / "*.parquet"))


def test_bad_values_in_csv_are_shown_as_written(tmp_path):
    log = small().astype({"rating": "object", "duration": "object"})
    log.loc[1, "rating"], log.loc[6, "rating"], log.loc[3, "duration"] = "five", "3,5", "-"
    log.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(SchemaError) as caught:
        read_chats(tmp_path / "log.csv")
    message = str(caught.value)
    assert "column 'rating': 2 of 8 values" in message
    assert "column 'duration': 1 of 8 values" in message
    assert all(bad in message for bad in ("five", "3,5", "-"))


def test_a_csv_with_a_broken_line(tmp_path):
    path = tmp_path / "log.csv"
    small().to_csv(path, index=False)
    path.write_text(path.read_text() + "9,a,2024-08-15 10:00,1\n")
    with pytest.raises(SchemaError):
        read_chats(path)


@pytest.mark.parametrize("gap", ["", "NA"])
def test_gaps_in_csv_are_missing_values(gap, tmp_path):
    small().to_csv(tmp_path / "log.csv", index=False, na_rep=gap)
    assert read_chats(tmp_path / "log.csv").observed["rating"] == 5


def test_leading_zeros_of_a_name_survive_csv(tmp_path):
    log = small().assign(
        worker_id=["007", "007", "7", "7", "7", "10", "10", "11"], treated=[1, 1, 0, 0, 0, 0, 0, 0]
    )
    log.to_csv(tmp_path / "log.csv", index=False)
    assert set(read_chats(tmp_path / "log.csv").to_pandas()["worker_id"]) == {"007", "7", "10", "11"}


def test_whole_numbers_with_gaps_are_names(tmp_path):
    log = small().assign(customer_id=[1.0, 2.0, np.nan, 4.0, 1.0, 2.0, 3.0, 4.0])
    found = read_chats(log).to_pandas()["customer_id"]
    assert found.dropna().tolist() == [1, 2, 4, 1, 2, 3, 4]


@pytest.mark.parametrize("source", [42, {"worker_id": ["a"]}, [1, 2], []])
def test_things_that_are_no_log(source):
    with pytest.raises(SchemaError, match="cannot read a chat log from"):
        read_chats(source)


def test_columns_of_mixed_types_and_double_names():
    mixed = small().astype({"rating": "object"})
    mixed.loc[0, "rating"] = "five"
    with pytest.raises(SchemaError, match="mixed types"):
        read_chats(mixed)
    double = small().set_axis([*small().columns[:-1], "worker_id"], axis=1)
    with pytest.raises(SchemaError, match=r"same name: \['worker_id'\]"):
        read_chats(double)


def test_the_source_is_not_changed():
    log = small()
    panel(read_chats(log), by="issue")
    pd.testing.assert_frame_equal(log, small())


def test_arrow_dictionaries_and_large_strings_are_read():
    table = pa.Table.from_pandas(small())
    table = table.set_column(1, "worker_id", table["worker_id"].cast(pa.large_string()))
    table = table.set_column(6, "issue", table["issue"].combine_chunks().dictionary_encode())
    assert panel(table, by="issue").n_chats == 8
    assert panel(small().astype({"issue": "category"}), by="issue").n_chats == 8


def test_what_is_printed_says_what_is_there():
    text = repr(read_chats(small().assign(note="x"), synthetic=True, tz="Asia/Shanghai"))
    assert "8 chats (SYNTHETIC)" in text
    assert "2 treated, 2 control" in text
    assert "Asia/Shanghai" in text
    assert "rating 37.5%" in text
    assert "others    note" in text


def test_errors_share_one_base():
    with pytest.raises(HitlbayesError):
        read_chats(42)


@pytest.mark.parametrize("kind", ["frame", "csv"])
def test_an_arm_in_words_is_read_by_its_level(kind, tmp_path):
    log = small().assign(group=lambda frame: np.where(frame["treated"] == 1, "Copilot", "none"))
    source = log.drop(columns="treated")
    if kind == "csv":
        source.to_csv(tmp_path / "log.csv", index=False)
        source = tmp_path / "log.csv"
    chats = read_chats(source, columns={"treated": "group"}, treated_level="Copilot")
    assert chats.table.treated.to_pandas().tolist() == log["treated"].tolist()
    with pytest.raises(SchemaError, match=r"'copilot'.*no row(.|\n)*'Copilot', 'none'"):
        read_chats(source, columns={"treated": "group"}, treated_level="copilot")
    with pytest.raises(SchemaError, match="treated_level="):
        read_chats(source, columns={"treated": "group"})


def test_a_column_that_was_mapped_keeps_no_second_meaning():
    """A 0/1 arm called "ai" is not also the mark of chats that the AI handled."""
    log = small().rename(columns={"treated": "ai"})
    assert "ai" not in read_chats(log, columns={"treated": "ai"}).table.columns


def test_a_mapping_the_wrong_way_round_is_turned():
    with pytest.raises(SpecError, match="the other way round"):
        read_chats(small().rename(columns={"worker_id": "agent"}), columns={"agent": "worker_id"})

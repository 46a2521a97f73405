from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from hitlbayes.errors import DataWarning
from hitlbayes.spec.codec import decode_frame, digest, encode, encode_frame

STAMPS = pd.DatetimeIndex(["2024-08-01 09:00", "2024-08-02 00:00", None])
COLUMNS = {
    "float": pd.Series([0.1, np.nan, -np.inf]),
    "int8": pd.Series([1, -2, 3], dtype="int8"),
    "bool": pd.Series([True, False, True]),
    "nullable integer": pd.Series([1, None, 3], dtype="Int64"),
    "nullable boolean": pd.Series([True, None, False], dtype="boolean"),
    "arrow": pd.Series([1.5, None, 2.5], dtype="double[pyarrow]"),
    "text": pd.Series(["b", "a", None]),
    "text as objects": pd.Series(["b", "a", "b"], dtype=object),
    "unordered": pd.Series(pd.Categorical(["y", None, "x"], categories=["y", "x", "never"])),
    "ordered": pd.Series(pd.Categorical([3, 1, 3], categories=[1, 2, 3], ordered=True)),
    "categories of stamps": pd.Series(pd.Categorical(STAMPS[:2].append(STAMPS[:1]))),
    "stamps": pd.Series(STAMPS),
    "seconds": pd.Series(STAMPS.astype("datetime64[s]")),
    "zoned": pd.Series(STAMPS.tz_localize("Asia/Shanghai")),
    "durations": pd.Series(pd.to_timedelta([1, 2, None], unit="h")),
    "dates": pd.Series([dt.date(2024, 8, 1), dt.date(2024, 8, 2), dt.date(2024, 8, 1)]),
}


def there_and_back(frame: pd.DataFrame) -> pd.DataFrame:
    arrays, columns = encode_frame(frame)
    assert all(array.dtype.kind in "iufb" for array in arrays)
    return decode_frame(arrays, json.loads(json.dumps(columns, allow_nan=False)))


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_survives_dtype_for_dtype(name):
    frame = pd.DataFrame({name: COLUMNS[name]})
    pd.testing.assert_frame_equal(there_and_back(frame), frame)


def test_a_frame_survives_with_any_names_and_without_rows():
    frame = pd.DataFrame({"a/b": [1.0], "a b": ["x"], 7: [True]})
    pd.testing.assert_frame_equal(there_and_back(frame), frame)
    pd.testing.assert_frame_equal(there_and_back(frame[:0]), frame[:0])


def test_codes_and_levels_are_as_written():
    codes, about = encode(pd.Series(pd.Categorical(["lo", "hi", None], categories=["hi", "lo"])))
    assert codes.tolist() == [1, 0, -1]
    assert about["of"]["levels"] == ["hi", "lo"]
    microseconds, about = encode(pd.Series(pd.to_datetime(["1970-01-01 00:00:01"]).astype("datetime64[us]")))
    assert microseconds.tolist() == [1_000_000]
    assert about == {"kind": "time", "dtype": "<M8[us]"}


def test_what_has_no_form_of_its_own_becomes_text_with_a_warning():
    frame = pd.DataFrame({"bin": [pd.Interval(0, 1), pd.Interval(1, 2)]}).astype(object)
    with pytest.warns(DataWarning, match="'bin'"):
        made = there_and_back(frame)
    assert made["bin"].tolist() == ["(0, 1]", "(1, 2]"]


@pytest.mark.parametrize(
    "other",
    [
        pd.DataFrame({"unit": ["a", "b"], "n": [1, 3]}),
        pd.DataFrame({"unit": ["a", "c"], "n": [1, 2]}),
        pd.DataFrame({"unit": ["b", "a"], "n": [1, 2]}),
        pd.DataFrame({"unit": ["a", "b"], "n": [1.0, 2.0]}),
        pd.DataFrame({"unit": ["a", "b"], "m": [1, 2]}),
    ],
)
def test_the_sum_sees_values_order_types_and_names(other):
    frame = pd.DataFrame({"unit": ["a", "b"], "n": [1, 2]})
    assert digest(*encode_frame(frame)) == digest(*encode_frame(frame.copy()))
    assert digest(*encode_frame(frame)) != digest(*encode_frame(other))

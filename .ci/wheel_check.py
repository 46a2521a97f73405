"""The installed wheel, by itself: it imports, its data files are there, its models can be written out."""

from __future__ import annotations

from pathlib import Path

import hitlbayes as hb
from hitlbayes.replication.models import model_names

assert "site-packages" in str(Path(hb.__file__)), f"not the wheel: {hb.__file__}"
table = hb.published.table("5")
assert len(table) >= 12, f"Table 5 has 4 panels of 3 outcomes, found {len(table)} rows"
assert "did_ordinal" in model_names(), f"models in the wheel: {model_names()}"
assert (Path(hb.__file__).parent / "py.typed").exists()
print(f"wheel of hitlbayes {hb.__version__}: imports, published tables and {len(model_names())} models found")

"""The Python of README and docs runs as it stands, page by page, in a folder with the files that it reads."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import hitlbayes as hb

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)\)|<img[^>]* src=\"([^\":]+)\"")
WORKERS = 20  # enough that eligible chats are rated in both arms, before and after


def blocks(page: Path) -> list[tuple[int, str]]:
    """Python blocks of a page: the line at which each begins, and its text."""
    text = page.read_text()
    return [(text[: m.start(1)].count("\n") + 1, m.group(1)) for m in BLOCK.finditer(text)]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with a chat log under the names that the README reads."""
    monkeypatch.chdir(tmp_path)
    chats = hb.simulate(workers=WORKERS, seed=5).chats
    chats.to_parquet("chats.parquet", index=False)
    chats["treated"] = np.where(chats["treated"] == 1, "Copilot", "none")
    names = {"worker_id": "agent", "start_time": "opened", "treated": "group"}
    names |= {"rating": "stars", "eligible": "bot_ok"}
    chats.rename(columns=names).to_csv("log.csv", index=False)
    return tmp_path


@pytest.mark.slow  # `make notebooks` runs it, with the notebooks
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: p.name)
def test_the_examples_of_a_page_run(page, folder):
    names: dict[str, object] = {"__name__": "page"}
    for line, text in blocks(page):
        code = compile("\n" * line + text, str(page), "exec")  # a traceback then names the page's line
        exec(code, names)
    assert [p.name for p in folder.glob("*.html")], f"{page.name} writes a report"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_links_of_a_page_lead_somewhere(page):
    targets = [a or b for a, b in LINK.findall(page.read_text())]
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_the_page_of_public_names_is_up_to_date():
    made = runpy.run_path(str(ROOT / "docs" / "api.py"))["page"]()
    assert made == (ROOT / "docs" / "api.md").read_text(), "run `python docs/api.py`"

"""What a fresh clone and a wheel must hold."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEEDED = (
    "hitlbayes/py.typed",
    "hitlbayes/twin/parameters.toml",
    "hitlbayes/published/data/table_5.csv",
    "hitlbayes/replication/table3.toml",
    "hitlbayes/replication/a4.toml",
    "hitlbayes/_models/did_ordinal.py",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_carries_its_data(wheel):
    names = set(wheel.namelist())
    assert [name for name in NEEDED if name not in names] == []
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_every_module_and_data_file_of_the_package_is_in_the_wheel(wheel):
    tracked = subprocess.run(
        ["git", "ls-files", "hitlbayes"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    assert sorted(set(tracked) - set(wheel.namelist())) == []


def test_the_wheel_has_one_command(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "hitlbayes = hitlbayes.cli:main" in wheel.read(name).decode()


def test_every_requirement_of_the_lock_is_hashed():
    text = (ROOT / "requirements.lock").read_text()
    entries = [
        entry
        for entry in text.replace("\\\n", " ").splitlines()
        if entry and not entry.lstrip().startswith("#")
    ]
    assert len(entries) > 50
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_holds_every_direct_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {
        wish.split(";")[0].split("[")[0].split("<")[0].split(">")[0].split("=")[0].strip() for wish in wanted
    }
    locked = {
        line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line
    }
    assert sorted(names - locked) == []


def test_the_readme_names_the_commands():
    readme = (ROOT / "README.md").read_text()
    for command in ("make replicate", "make test"):
        assert command in readme

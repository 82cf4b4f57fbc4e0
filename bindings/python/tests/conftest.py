"""Fixtures: a ledger in memory, a clock that a test sets, and plugins that this process may load."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import farebox
from farebox import Farebox

ROOT = Path(__file__).resolve().parents[3]


class ManualClock:
    """A clock that stands still until it is moved; microseconds since 1970."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(clock: ManualClock) -> Iterator[Farebox]:
    """A ledger in memory where user:ana has 10 USD, user:bob has 0.05 and dev:eve has nothing."""
    with Farebox.open("memory:", clock=clock) as opened:
        for account in ("user:ana", "user:bob", "dev:eve"):
            opened.open_account(account)
        opened.deposit("user:ana", 10)
        opened.deposit("user:bob", "0.05")
        yield opened


@pytest.fixture
def root() -> Path:
    """The source tree."""
    return ROOT


class PluginFolder:
    """A folder of plugins: those that Tests/Plugins builds, and examples/plugins/zlib."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.zlib = path / "zlib" / "org.farebox.example.zlib.farebox.json"
        built = json.loads((path / "fixtures.json").read_text(encoding="utf-8"))
        self.manifests = {fixture["name"]: path / fixture["manifest"] for fixture in built}
        self.ids = {fixture["name"]: str(fixture["id"]) for fixture in built}


BUILT = (
    "good-1.0.0",
    "good-1.1.0",
    "good-1.2.0",
    "hostile",
    "init-crash",
    "init-fail",
    "other-version",
    "major-other",
    "changed",
    "manifest-unknown",
    "missing-file",
)
POLICY = {"trust": "unsigned", "system_libraries": True}


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> PluginFolder:
    """Plugins below the one folder from which this process may load them; a policy is for the whole process."""
    if shutil.which("gcc") is None or not (ROOT / "Tests" / "Plugins").is_dir():
        pytest.skip("needs gcc and the source tree")
    folder = tmp_path_factory.mktemp("plugins")
    chosen = [argument for name in BUILT for argument in ("--only", name)]
    subprocess.run(
        [sys.executable, str(ROOT / "Tests" / "Plugins" / "build"), str(folder), *chosen],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    shutil.copytree(ROOT / "examples" / "plugins" / "zlib", folder / "zlib")
    farebox.set_plugin_policy(POLICY, directories=[folder])
    return PluginFolder(folder)

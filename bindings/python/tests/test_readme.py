"""The README's Python runs as it stands there, from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import farebox

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    text = README.read_text(encoding="utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```$", text, flags=re.M | re.S):
        line = text[: match.start()].count("\n") + 1
        exec(compile("\n" * line + match.group(1), str(README), "exec", dont_inherit=True), namespace)
    engine = namespace["engine"]
    assert isinstance(engine, farebox.Farebox)
    engine.close()


def test_the_readme_names_every_argument_of_pricing() -> None:
    text = README.read_text(encoding="utf-8")
    for argument in farebox.pricing.__kwdefaults__ or {}:
        assert f"`{argument}`" in text, argument
    for name in farebox.__all__:
        if name.endswith("Error") or name in ("PaymentRefused", "KeyConflict"):
            assert f"`{name}`" in text, name

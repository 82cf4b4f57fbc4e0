"""The README's Python runs as it stands there, from top to bottom."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import farebox

README = Path(__file__).resolve().parents[1] / "README.md"
ROOT = README.parents[2]


def test_the_readme_runs(tmp_path: Path) -> None:
    """In a process of its own: what it allows plugins is for a whole process."""
    shutil.copytree(ROOT / "examples" / "plugins" / "zlib", tmp_path / "plugins" / "zlib")
    text = README.read_text(encoding="utf-8")
    lines = [""] * text.count("\n")  # so that a failure names its line of the README
    for match in re.finditer(r"^```python\n(.*?)^```$", text, flags=re.M | re.S):
        line = text[: match.start()].count("\n") + 1
        code = match.group(1).splitlines()
        lines[line : line + len(code)] = code
    assert sum(map(bool, lines)) > 60
    script = tmp_path / "readme.py"
    script.write_text("\n".join([*lines, "engine.close()", "print('done')"]), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(farebox.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stderr


def test_the_readme_names_every_argument_of_pricing() -> None:
    text = README.read_text(encoding="utf-8")
    for argument in farebox.pricing.__kwdefaults__ or {}:
        assert f"`{argument}`" in text, argument
    for name in farebox.__all__:
        if name.endswith("Error") or name in ("PaymentRefused", "KeyConflict"):
            assert f"`{name}`" in text, name

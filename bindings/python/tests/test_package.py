"""The package as it is installed: typed, without dependencies, and with the library inside its wheel."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import farebox
from farebox import _library

PACKAGE = Path(farebox.__file__).parent
PROJECT = Path(__file__).resolve().parents[1]


def test_everything_exported_exists_and_is_documented() -> None:
    assert sorted(farebox.__all__, key=str.lower) == farebox.__all__ or sorted(farebox.__all__) == farebox.__all__
    for name in farebox.__all__:
        assert getattr(farebox, name).__doc__, name


def test_every_public_method_is_documented() -> None:
    for kind in (
        farebox.Farebox,
        farebox.Hold,
        farebox.Payment,
        farebox.Receipt,
        farebox.Quote,
        farebox.Balance,
        farebox.Plugins,
    ):
        for name, value in vars(kind).items():
            if not name.startswith("_") and callable(value):
                assert value.__doc__, f"{kind.__name__}.{name}"


def test_it_needs_nothing_but_the_standard_library() -> None:
    names = getattr(sys, "stdlib_module_names", None)
    if names is None:
        pytest.skip("needs Python 3.10")
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert all(alias.name.split(".")[0] in names for alias in node.names), path
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert node.module and node.module.split(".")[0] in names, path


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_a_missing_library_is_told_where_it_was_looked_for(tmp_path: Path) -> None:
    def load(library: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "import farebox; print('imported'); farebox.describe()"],
            env={**os.environ, "FAREBOX_LIB": str(library), "PYTHONPATH": str(PACKAGE.parent)},
            capture_output=True,
            text=True,
            check=False,
        )

    for place in (tmp_path, tmp_path / "libfarebox.so"):
        missing = load(place)
        assert missing.returncode == 1 and missing.stdout == "imported\n"
        assert f"ImportError: no libfarebox.so at {tmp_path / 'libfarebox.so'}" in missing.stderr
        assert "FAREBOX_LIB" in missing.stderr
    (tmp_path / "libfarebox.so").write_bytes(b"not a library")
    assert load(tmp_path).returncode == 1


def test_a_wheel_carries_the_library_and_the_worker(tmp_path: Path) -> None:
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("needs hatchling")
    library = _library.library().path
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=PROJECT,
        env={**os.environ, "FAREBOX_LIB": str(library)},
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith("farebox-0.1.0-py3-none-linux_")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert {"farebox/__init__.py", "farebox/py.typed", "farebox/libfarebox.so", "farebox/farebox-worker"} <= names
        assert archive.getinfo("farebox/farebox-worker").external_attr >> 16 & 0o111 == 0o111
        assert not any("tests" in name for name in names)
        metadata = archive.read("farebox-0.1.0.dist-info/METADATA").decode()
        assert "Requires-Dist" not in metadata.replace("extra == 'test'", "").split("Provides-Extra")[0]
        archive.extractall(tmp_path / "site")
    loaded = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            "import sys; sys.path.insert(0, sys.argv[1]); import farebox; "
            "print(farebox.library_path()); farebox.Farebox.open('memory:').close()",
            str(tmp_path / "site"),
        ],
        env={name: value for name, value in os.environ.items() if name != "FAREBOX_LIB"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert loaded.stdout.strip() == str(tmp_path / "site" / "farebox" / "libfarebox.so")
    # It finds the library beside it, and says that a host must start it.
    worker = tmp_path / "site" / "farebox" / "farebox-worker"
    worker.chmod(0o755)
    by_hand = subprocess.run([str(worker)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert by_hand.returncode == 2 and "started by Farebox" in by_hand.stderr, by_hand
    check_installed(wheel, tmp_path)


ECHO = """
import sys, farebox
from pathlib import Path
manifest = Path(sys.argv[1])
farebox.set_plugin_policy(directories=[manifest.parent], trust="unsigned", system_libraries=True)
with farebox.Farebox.open("memory:") as engine:
    engine.deposit("user:ana", 1)
    engine.open_account("user:author")
    loaded = engine.plugins.load(manifest)
    result = engine.call_tool("zlib.crc32", {"crc": 0, "data": b"123456789"}, payer="user:ana")
    assert result.json() == {"result": 0xCBF43926} and result.receipt.units == 9
    print(loaded["mode"], Path(farebox.library_path()).name, Path(farebox.library_path()).parents[1].name)
"""


def check_installed(wheel: Path, folder: Path) -> None:
    """Installs a wheel into an environment of its own, which knows no other library, and calls a plugin there."""
    manifest = folder / "plugins" / "org.farebox.example.zlib.farebox.json"
    shutil.copytree(PROJECT.parents[1] / "examples" / "plugins" / "zlib", manifest.parent)
    venv.create(folder / "venv", with_pip=True)
    python = str(folder / "venv" / "bin" / "python")
    alone = {name: value for name, value in os.environ.items() if name not in ("FAREBOX_LIB", "PYTHONPATH")}
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, env=alone)
    called = subprocess.run(
        [python, "-I", "-c", ECHO, str(manifest)], env=alone, check=False, capture_output=True, text=True, timeout=60
    )
    assert called.returncode == 0, called.stderr
    assert called.stdout.split() == ["worker", "libfarebox.so", "site-packages"]

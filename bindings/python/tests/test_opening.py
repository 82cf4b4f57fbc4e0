"""What an address means, why a ledger cannot be opened, and that no password is shown."""

from __future__ import annotations

import copy
import json
import logging
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from farebox import Farebox, FareboxError, RequestError, StoreError

from .conftest import ROOT

DAY = 86_400_000_000


def refusal(url: Any, **options: Any) -> FareboxError:
    with pytest.raises(FareboxError) as caught:
        Farebox.open(url, busy_timeout=1, **options).close()
    return caught.value


# ---- Addresses ----


@pytest.mark.parametrize(
    "url", ["farebox.db", "sqlite:farebox.db", "sqlite:///farebox.db", "./farebox.db", Path("farebox.db"), b"farebox.db"]
)
def test_a_relative_path_is_in_the_working_directory(url: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Farebox.open(url) as engine:
        assert engine.url in ("sqlite:farebox.db", "sqlite:./farebox.db")
        assert repr(engine) == f"<Farebox {engine.url}>"
    assert [path.name for path in tmp_path.iterdir()] == ["farebox.db"]


def test_four_slashes_are_an_absolute_path(tmp_path: Path) -> None:
    with Farebox.open(f"sqlite:///{tmp_path}/farebox.db") as engine:
        engine.open_account("user:ana")
    for url in (tmp_path / "farebox.db", f"sqlite:{tmp_path}/farebox.db", f"{tmp_path}/farebox.db"):
        with Farebox.open(url, existing=True) as engine:
            assert engine.url == f"sqlite:{tmp_path}/farebox.db"


def test_a_path_object_is_a_path_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("of:2026.db", "a=b.db", "memory"):
        Farebox.open(Path(name)).close()
        assert (tmp_path / name).is_file()


@pytest.mark.parametrize(
    "url",
    [
        "host=db user=u password=s3cret",
        "POSTGRESQL://u:s3cret@db/money",
        " postgresql://u:s3cret@db/money",
        '"postgresql://u:s3cret@db/money"',
        "postgresql+psycopg://u:s3cret@db/money",
        "postgresql://u:s3cret@db/money?nosuch=1",
        "mysql://u:s3cret@db/money",
        "http://u:s3cret@db/money",
        "u:s3cret@db/money",
        "C:\\ledger.db",
        "sqlite:ledger.db?mode=ro",
        "memory:x",
        ":memory:",
        "",
        "a\0b",
        Path("postgresql://u:s3cret@db/money"),
    ],
)
def test_an_address_that_is_none_is_refused_and_makes_no_file(
    url: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = refusal(url)
    assert (error.name, error.field, error.retryable) == ("INVALID_ARGUMENT", "url", False)
    assert isinstance(error, RequestError)
    assert "s3cret" not in f"{error} {error!r} {error.details} {error.args}"
    assert not list(tmp_path.iterdir())


# ---- Files ----


def test_what_is_no_ledger_is_said_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is not a ledger " * 1000)
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    for version in (0, 2):
        connection = sqlite3.connect(tmp_path / f"other{version}")
        connection.execute("CREATE TABLE notes (text)")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.close()
    for name, wanted in [
        ("no/folder/ledger.db", "STORE_NOT_FOUND"),
        ("text/ledger.db", "STORE_NOT_FOUND"),
        ("text", "STORE_CORRUPT"),
        ("other0", "STORE_CORRUPT"),
        ("other2", "STORE_CORRUPT"),
        ("folder", "INVALID_ARGUMENT"),
        ("pipe", "INVALID_ARGUMENT"),
        ("socket", "INVALID_ARGUMENT"),
    ]:
        error = refusal(tmp_path / name)
        assert (error.name, error.retryable, str(tmp_path / name) in str(error)) == (wanted, False, True), error
    for name in ("nothing", "empty"):
        error = refusal(tmp_path / name, existing=True)
        assert (error.name, error.retryable, str(tmp_path / name) in str(error)) == ("STORE_NOT_FOUND", False, True), error
    listener.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root mounts")
def test_a_backup_on_a_mount_that_can_only_be_read(tmp_path: Path) -> None:
    with Farebox.open("memory:") as engine:
        engine.open_account("user:ana")
        engine.deposit("user:ana", 7)
        engine.call("ledger.backup", to=f"{tmp_path}/backup.db")
    if subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=False).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", tmp_path], check=True)
        assert refusal(tmp_path / "backup.db").name == "STORE_READ_ONLY"
        with Farebox.open(tmp_path / "backup.db", existing=True) as copy:
            assert copy.balance("user:ana").balance == 7
            assert copy.call("ledger.verify")["valid"]
            with pytest.raises(StoreError) as caught:
                copy.deposit("user:ana", 1)
            assert (caught.value.name, caught.value.retryable) == ("STORE_READ_ONLY", False)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


# ---- Servers ----


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "Tests" / "PostgreSQL"))
    from server import Server  # type: ignore[import-not-found]

    with Server(fast=True, settings={"shared_buffers": "32MB"}) as server:
        yield server


def test_no_password_is_shown(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Farebox.open(f"{server.url}?schema=shown") as engine:
        logging.getLogger("host").info("opened %s %r", engine, engine)
        described = json.dumps([engine.call("ledger.info"), engine.call("engine.describe"), engine.call("engine.metrics")])
        shown = [repr(engine), str(engine), f"{engine}", engine.url, repr(vars(engine)), described, caplog.text]
        assert urlsplit(engine.url).username == "farebox" and engine.url.endswith("/farebox?schema=shown")
    assert not [text for text in [*shown, repr(engine)] if server.home.password in text]


def test_a_wrong_password_has_a_status(server: Any) -> None:
    began = time.monotonic()
    error = refusal(server.url.replace(server.home.password, "not-the-password"))
    assert (error.name, error.code, error.field, error.retryable) == ("STORE_AUTHENTICATION", 813, "url", False)
    assert "not-the-password" not in str(error) and time.monotonic() - began < 5
    assert refusal(server.url.removesuffix("farebox") + "nothing").name == "STORE_NOT_FOUND"


# ---- Clocks ----


def test_a_clock_far_ahead_moves_nothing() -> None:
    now = [int(time.time() * 1e6)]
    with Farebox.open("memory:", clock=lambda: now[0]) as engine:
        engine.open_account("user:ana")
        engine.deposit("user:ana", 100)
        real, now[0] = now[0], 20_237_000_000_000_000
        with pytest.raises(StoreError) as caught:
            engine.charge("user:ana", amount=2)
        assert (caught.value.name, caught.value.field, caught.value.retryable) == ("CLOCK_AHEAD", "clock", True)
        now[0] = real + 3 * DAY
        assert engine.charge("user:ana", amount=1).at.year < 2100
        assert copy.copy(engine.balance("user:ana")).balance == 99

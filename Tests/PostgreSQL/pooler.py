"""A pgbouncer before a server, as the system has installed it.

    with Server() as server, Pooler(server) as pooler:
        pooler.url

It asks for the password that the server does, keeps each connection to the server for one transaction of a client, and changes
nothing of what a pgbouncer does by itself. It has a folder in the server's, and ends with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from server import DATABASE, OWNER, START_SECONDS, STOP_SECONDS, Server, ServerError, free_port, wait_until


def find_program() -> str:
    found = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        raise ServerError("pgbouncer is not installed: Scripts/install-packages installs it")
    return found


class Pooler:
    """One pgbouncer."""

    def __init__(self, server: Server, mode: str = "transaction", **settings: str | int) -> None:
        self.server = server
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None
        self.folder = server.home.folder / f"pooler-{self.port}"
        self.folder.mkdir(mode=0o700)
        self.log = self.folder / "log"
        self.settings = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "", "auth_type": "scram-sha-256",
            "auth_file": self.folder / "users", "pool_mode": mode, "max_client_conn": 500,
            "pidfile": self.folder / "pooler.pid", **settings,
        }
        self._write("users", f'"{OWNER}" "{server.home.password}"\n')
        lines = [f"{name} = {value}" for name, value in self.settings.items()]
        where = f"* = host=127.0.0.1 port={server.port}"
        self._write("pgbouncer.ini", "\n".join(["[databases]", where, "[pgbouncer]", *lines]) + "\n")
        if server.home.user is not None:
            os.chown(self.folder, server.home.user.pw_uid, server.home.user.pw_gid)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        if self.server.home.user is not None:
            os.chown(path, self.server.home.user.pw_uid, self.server.home.user.pw_gid)

    def __enter__(self) -> Pooler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill(signal.SIGTERM)  # at once; others may be ignored, as by what a shell runs in the background

    @property
    def url(self) -> str:
        """The address of the database for its owner, by way of the pooler."""
        return f"postgresql://{OWNER}:{self.server.home.password}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        user = self.server.home.user
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [find_program(), str(self.folder / "pgbouncer.ini")], text=True, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                user=None if user is None else user.pw_uid, group=None if user is None else user.pw_gid,
                extra_groups=None if user is None else [],
            )
        wait_until("the pooler starts", START_SECONDS, self._is_ready)

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise ServerError(f"the pooler ended with {self.process.returncode}:\n{self.log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            return True
        return False

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS)
        self.process = None
        with contextlib.suppress(FileNotFoundError):
            Path(self.settings["pidfile"]).unlink()

    def restart(self) -> None:
        self.kill()
        self.start()

    def psql(self, statement: str) -> str:
        """What another client of the pooler is told."""
        home = self.server.home
        where = f"host=127.0.0.1 port={self.port} user={OWNER} dbname={DATABASE} connect_timeout=10"
        return home.run("psql", "-X", "-q", "-A", "-t", "-d", where, "-c", statement, password=home.password).strip()

#!/usr/bin/env python3
"""PostgreSQL servers of the tests' own, from the package that the system has installed.

    Tests/PostgreSQL/server.py run [--fast] [--pooler SIZE] [--set NAME=VALUE]... -- COMMAND...

starts a server, runs COMMAND with the server's address in FAREBOX_TEST_POSTGRESQL, stops the server, and ends as COMMAND did.
--fast turns off all that only a power loss would need. --pooler gives the address of a pgbouncer instead, which has SIZE
connections to the server and keeps each for a transaction; FAREBOX_TEST_POOLER is SIZE then. As a module:

    with Server() as primary:
        standby = primary.standby()
        primary.kill()
        standby.promote()

A server listens on 127.0.0.1 and on a socket in its own folder, on a port that was free, for passwords made up for it;
no cluster that runs already is looked at. PostgreSQL does not run as root, so for root its processes belong to `postgres`
or to `nobody`. A server and its standbys have one folder, below .build where that user can reach it. They are stopped, and
the folder is removed, by `stop`, by the end of the `with`, and however this process ends: a shell that waits for its end
does it after a kill -9.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 30.0
SQL_SECONDS = 60.0
DATABASE = "farebox"
OWNER = "farebox"
"""Owns the database and may do nothing else: what an engine gets."""
ADMINISTRATOR = "administrator"
SOCKET_PATH_BYTES = 107

SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "wal_level": "replica",
    "max_wal_senders": "8",
    "hot_standby": "on",
    "wal_retrieve_retry_interval": "200ms",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
}
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

WATCH = r"""
read -r word
[ "$word" = done ] && exit 0
for file in "$0"/*/data/postmaster.pid "$0"/*/pooler.pid; do
  pid=$(head -n 1 "$file" 2> /dev/null) || continue
  { tr '\0' ' ' < "/proc/$pid/cmdline" | grep -qF "$0"; } 2> /dev/null && kill -QUIT "$pid"
done
sleep 1
rm -rf "$0"
"""
"""Waits for its input to end; unless it was told that all is done, stops the servers below the folder $0 and removes it."""


class ServerError(Exception):
    """A server, or a program of PostgreSQL's, did not do what was asked; the text is what it said."""


def find_programs() -> Path:
    """Gives the folder of the newest version's programs."""

    def version(path: Path) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", path.parent.name))

    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").is_file()]
    if found:
        return max(found, key=version)
    beside = shutil.which("postgres")
    if beside is None:
        raise ServerError("PostgreSQL is not installed: Scripts/install-packages installs it")
    return Path(beside).resolve().parent


def unprivileged_user() -> pwd.struct_passwd | None:
    """Gives who runs the servers, or None for the user that this process has."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerError("there is neither a user postgres nor a user nobody, and PostgreSQL does not run as root")


def can_reach(path: Path, user: pwd.struct_passwd) -> bool:
    """Tells whether every folder from the root down to `path` lets the user through."""
    for folder in (path, *path.parents):
        about = folder.stat()
        bit = stat.S_IXUSR if about.st_uid == user.pw_uid else stat.S_IXGRP if about.st_gid == user.pw_gid else stat.S_IXOTH
        if not about.st_mode & bit:
            return False
    return True


def make_folder(user: pwd.struct_passwd | None) -> Path:
    """Makes a folder that belongs to the user: below .build, or in /tmp where that is out of reach or its path too long."""
    build = ROOT / ".build"
    build.mkdir(exist_ok=True)
    longest = len(os.fsencode(build)) + len("/postgresql-12345678/s99/.s.PGSQL.12345.lock")
    is_usable = longest <= SOCKET_PATH_BYTES and (user is None or can_reach(build, user))
    folder = Path(tempfile.mkdtemp(prefix="postgresql-", dir=build if is_usable else "/tmp"))
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: str, seconds: float, is_so: Callable[[], bool]) -> None:
    limit = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > limit:
            raise ServerError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.02)


@dataclass
class Home:
    """What a server and its standbys have in common."""

    programs: Path
    user: pwd.struct_passwd | None
    folder: Path
    password: str
    administrator_password: str
    servers: list["Server"]
    watch: subprocess.Popen[bytes]

    @staticmethod
    def make() -> Home:
        programs, user = find_programs(), unprivileged_user()
        folder = make_folder(user)
        command = ["sh", "-c", WATCH, str(folder)]
        watch = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, cwd="/", close_fds=True)
        return Home(programs, user, folder, secrets.token_hex(16), secrets.token_hex(16), [], watch)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        assert self.watch.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.watch.stdin.write(b"done\n")
            self.watch.stdin.close()
        self.watch.wait(STOP_SECONDS)

    def environment(self, password: str = "") -> dict[str, str]:
        """Gives an environment in which libpq knows nothing but the password."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return kept | {"LC_ALL": "C.UTF-8", "PGPASSWORD": password, "HOME": str(self.folder)}

    def start(
        self, program: str, *words: str, env: dict[str, str], stdout: int | IO[bytes], stderr: int | IO[bytes]
    ) -> subprocess.Popen[str]:
        """Starts a program of PostgreSQL's as the unprivileged user, out of reach of the terminal's Ctrl-C."""
        user = self.user
        return subprocess.Popen(
            [str(self.programs / program), *words],
            cwd=self.folder,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=env,
            start_new_session=True,
            umask=0o077,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
        )

    def run(self, program: str, *words: str, seconds: float = SQL_SECONDS, password: str = "") -> str:
        """Runs a program of PostgreSQL's to its end and gives what it printed."""
        started = self.start(
            program, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment(password)
        )
        try:
            printed, said = started.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise ServerError(f"{program} has not ended within {seconds:.0f} s") from None
        finally:
            if started.poll() is None:
                started.kill()
                started.wait()
        if started.returncode != 0:
            raise ServerError(f"{program} ended with {started.returncode}: {said.strip()}")
        return printed


class Server:
    """One server of PostgreSQL; the first of its home, or a standby of another."""

    def __init__(
        self,
        *,
        fast: bool = False,
        settings: dict[str, str] | None = None,
        following: Server | None = None,
        preload: Path | None = None,
    ) -> None:
        self.settings = {**SETTINGS, **(FAST if fast else {}), **(settings or {})}
        self.following = following
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self.home: Home = Home.make() if following is None else following.home
        self.name = f"s{len(self.home.servers)}"
        self.folder = self.home.folder / self.name
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.home.servers.append(self)
        self.environment = self.home.environment()
        try:
            if preload is not None:
                # The library may be where the server's user cannot read it.
                copy = str(shutil.copy(preload, self.home.folder / preload.name))
                os.chmod(copy, 0o755)
                self.environment |= {"LD_PRELOAD": copy, "FAREBOX_TEST_FOLDER": str(self.home.folder)}
            self._make()
            self.start()
            if following is None:
                self._make_database()
        except BaseException:
            if following is None:
                self.stop()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- Addresses ----

    @property
    def url(self) -> str:
        """The address of the database for its owner."""
        return address([self])

    @property
    def socket_url(self) -> str:
        """The same over the socket in the server's folder."""
        host = str(self.folder).replace("/", "%2F")
        return f"postgresql://{OWNER}:{self.home.password}@{host}:{self.port}/{DATABASE}"

    # ---- Making it ----

    def _make(self) -> None:
        home = self.home
        self.folder.mkdir(mode=0o700)
        if home.user is not None:
            os.chown(self.folder, home.user.pw_uid, home.user.pw_gid)
        if self.following is None:
            secret = home.folder / "administrator"
            secret.touch(mode=0o600)
            if home.user is not None:
                os.chown(secret, home.user.pw_uid, home.user.pw_gid)
            secret.write_text(home.administrator_password + "\n")
            home.run(
                "initdb", "--pgdata", str(self.data), "--username", ADMINISTRATOR, "--pwfile", str(secret),
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
                seconds=START_SECONDS,
            )
            secret.unlink()
        else:
            primary = f"host=127.0.0.1 port={self.following.port} user={ADMINISTRATOR} application_name={self.name}"
            home.run(
                "pg_basebackup", "--dbname", primary, "--pgdata", str(self.data), "--write-recovery-conf",
                "--wal-method", "stream", "--checkpoint", "fast", "--no-sync",
                seconds=START_SECONDS, password=home.administrator_password,
            )

    def _make_database(self) -> None:
        self.psql(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{self.home.password}'", database="postgres")
        self.psql(f"CREATE DATABASE {DATABASE} OWNER {OWNER}", database="postgres")

    # ---- Starting and stopping ----

    def start(self) -> None:
        """Starts the server and waits until it takes connections; a port that another has taken meanwhile is changed."""
        for attempt in range(5):
            self.port = self.port or free_port()
            words = [f"{name}={value}" for name, value in self.settings.items()]
            words += [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}"]
            options = [part for word in words for part in ("-c", word)]
            before = self.log.stat().st_size if self.log.exists() else 0
            with open(self.log, "ab") as log:
                self.process = self.home.start(
                    "postgres", "-D", str(self.data), *options, stdout=log, stderr=log, env=self.environment
                )
            try:
                wait_until(f"{self.name} starts", START_SECONDS, self._is_ready)
                return
            except ServerError:
                said = self.log.read_text(errors="replace")[before:]
                self.kill()
                if attempt == 4 or "Address already in use" not in said or len(self.home.servers) > 1:
                    raise ServerError(f"{self.name} does not start:\n{said[-3000:]}") from None
                self.port = 0

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise ServerError(f"{self.name} ended with {self.process.returncode}")
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def answers(self) -> bool:
        """Tells whether the server takes a connection now."""
        try:
            return self.psql("SELECT 1", database="postgres", seconds=5) == "1"
        except ServerError:
            return False

    def children(self) -> list[int]:
        """Gives the server's own processes: those of its connections and of its background work."""
        if not self.is_running:
            return []
        assert self.process is not None
        with contextlib.suppress(OSError):
            return [int(word) for word in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]
        return []

    def send(self, number: int) -> None:
        """Sends a signal to the server's first process."""
        if self.is_running:
            assert self.process is not None
            self.process.send_signal(number)

    def kill(self, number: int = signal.SIGQUIT) -> None:
        """Ends the server at once, without a checkpoint: SIGQUIT is PostgreSQL's "immediate", SIGKILL is kill -9 of all of it."""
        if self.process is None:
            return
        children = self.children()
        self.send(number)
        if number == signal.SIGKILL:
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        self._reap(children)

    def _reap(self, children: Sequence[int]) -> None:
        assert self.process is not None
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in (self.process.pid, *children):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait(STOP_SECONDS)
        # A child that still holds the shared memory would keep the next start from its data.
        wait_until(f"the processes of {self.name} end", STOP_SECONDS, lambda: not any(map(is_alive, children)))
        self.process = None

    def restart(self, number: int = signal.SIGQUIT) -> None:
        """Kills the server where it runs, and starts it again on the same port; its recovery is over then."""
        self.kill(number)
        self.start()

    def stop(self) -> None:
        """Stops the server. The first of a home stops all of its home and removes it."""
        with uninterrupted():
            if self.following is not None:
                self.kill()
                return
            for server in self.home.servers:
                with contextlib.suppress(ServerError):
                    server.kill()
            self.home.remove()

    # ---- Replication ----

    def standby(self, *, commit: str | None = "on") -> Server:
        """Makes a streaming standby. `commit` is what the primary's commits wait for (remote_write, on, remote_apply), or None
        for a standby that they do not wait for."""
        other = Server(settings=self.settings, following=self)
        if commit is None:
            wait_until("the standby streams", START_SECONDS, lambda: self._replication(other, "state") == "streaming")
        else:
            self.psql(f"ALTER SYSTEM SET synchronous_standby_names = '{other.name}'")
            self.psql(f"ALTER SYSTEM SET synchronous_commit = '{commit}'")
            self.psql("SELECT pg_reload_conf()")
            wait_until("the standby is synchronous", START_SECONDS, lambda: self._replication(other, "sync_state") == "sync")
        return other

    def _replication(self, other: Server, column: str) -> str:
        return self.psql(f"SELECT {column} FROM pg_stat_replication WHERE application_name = '{other.name}'")

    def promote(self) -> None:
        """Makes a primary of a standby, whose commits wait for nobody."""
        self.psql("SELECT pg_promote(true, 60)", database="postgres")
        wait_until("the standby is a primary", START_SECONDS, lambda: self.psql("SELECT pg_is_in_recovery()") == "f")
        self.psql("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.psql("SELECT pg_reload_conf()")

    # ---- SQL ----

    def psql(self, *statements: str, user: str = ADMINISTRATOR, database: str = DATABASE, seconds: float = SQL_SECONDS) -> str:
        """Runs statements, each in a transaction of its own, and gives rows as lines with `|` between their columns."""
        password = self.home.password if user == OWNER else self.home.administrator_password
        where = f"host=127.0.0.1 port={self.port} user={user} dbname={database} connect_timeout=10"
        commands = [part for statement in statements for part in ("-c", statement)]
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        return self.home.run("psql", *options, "-d", where, *commands, seconds=seconds, password=password).strip()


def address(servers: Sequence[Server], parameters: str = "") -> str:
    """Gives one address of the database on several servers, such as a primary and its standby."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://{OWNER}:{servers[0].home.password}@{hosts}/{DATABASE}" + (f"?{parameters}" if parameters else "")


def is_alive(pid: int) -> bool:
    """Tells whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM wait; signals are the main thread's."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_on_signals() -> None:
    """Lets SIGTERM and SIGHUP end this process as Ctrl-C does, so that servers are stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))


def run(arguments: argparse.Namespace) -> int:
    settings = dict(word.split("=", 1) for word in arguments.settings)
    end_on_signals()
    with Server(fast=arguments.fast, settings=settings) as server, contextlib.ExitStack() as stack:
        url = server.url
        if arguments.pooler:
            from pooler import Pooler

            url = stack.enter_context(Pooler(server, default_pool_size=arguments.pooler)).url
        environment = os.environ | {"FAREBOX_TEST_POSTGRESQL": url, "FAREBOX_TEST_POOLER": str(arguments.pooler or "")}
        command = subprocess.Popen(arguments.command, env=environment)
        try:
            return status_of(command.wait())
        except KeyboardInterrupt:
            # The terminal has sent it to the command too.
            return status_of(command.wait(STOP_SECONDS))
        finally:
            if command.poll() is None:
                command.terminate()
                try:
                    command.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    command.kill()
                    command.wait()


def status_of(code: int) -> int:
    return code if code >= 0 else 128 - code


def main() -> int:
    parser = argparse.ArgumentParser(description="PostgreSQL servers for the tests.")
    verbs = parser.add_subparsers(required=True, metavar="run")
    verb = verbs.add_parser("run", help="run a command beside a server of its own")
    verb.add_argument("--fast", action="store_true", help="without what only a power loss needs, such as fsync")
    verb.add_argument("--pooler", type=int, default=0, metavar="SIZE", help="behind a pgbouncer with so many connections")
    verb.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE", help="a server setting")
    verb.add_argument("command", nargs="+", metavar="COMMAND", help="after --")
    arguments = parser.parse_args()
    if any("=" not in word for word in arguments.settings):
        parser.error("--set needs NAME=VALUE")
    try:
        return run(arguments)
    except ServerError as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

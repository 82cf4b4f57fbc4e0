"""Building plugins and leading them through drive.c: what the parts of Tests/Plugins/run are made of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cases import Case

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

WARNINGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


@dataclass
class Life:
    """What came of a run of drive: its exit status, negative for a signal, None where its time was over."""

    status: int | None
    lines: list[dict[str, Any]] = field(default_factory=list)
    log: str = ""

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "tool" in line]


class Run:
    def __init__(self, work: Path) -> None:
        self.work = work
        self.passed = self.failed = self.skipped = 0
        self.drive = self.build_drive("drive", ["gcc", "-O1", "-g"])
        self.fixtures = self.build_fixtures("fixtures", "gcc", "-O1 -g")

    # ---- Counting ----

    def check(self, holds: bool, what: str) -> None:
        self.passed, self.failed = self.passed + holds, self.failed + (not holds)
        if not holds:
            print(f"FAILED: {what}")

    def skip(self, what: str, why: str) -> None:
        self.skipped += 1
        print(f"skipped: {what}: {why}")

    # ---- Building ----

    def build_drive(self, name: str, compiler: list[str]) -> Path:
        target = self.work / name
        command = [*compiler, *WARNINGS, f"-I{ROOT / 'Include'}", "-o", str(target), str(HERE / "drive.c"), "-ldl"]
        subprocess.run(command, check=True)
        return target

    def build_fixtures(self, name: str, compiler: str, flags: str, *only: str) -> list[dict[str, Any]]:
        out = self.work / name
        chosen = [argument for fixture in only for argument in ("--only", fixture)]
        environment = {**os.environ, "CC": compiler, "CFLAGS": flags}
        subprocess.run([str(HERE / "build"), str(out), *chosen], check=True, env=environment)
        fixtures: list[dict[str, Any]] = json.loads((out / "fixtures.json").read_text())
        for fixture in fixtures:
            fixture.update(manifest=out / fixture["manifest"], library=out / fixture["library"])
        return fixtures

    def fixture(self, name: str) -> dict[str, Any]:
        return next(fixture for fixture in self.fixtures if fixture["name"] == name)

    # ---- Running ----

    def live(
        self,
        library: Path,
        *arguments: Any,
        options: tuple[str, ...] = (),
        seconds: float = 20,
        command: tuple[str, ...] = (),
    ) -> Life:
        """Leads a plugin through its life; in a session of its own, which is all that a signal of it can end."""
        words = [word if isinstance(word, str) else json.dumps(word) for word in arguments]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [*(command or (str(self.drive),)), *options, str(library), *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                cwd=self.work,
                start_new_session=True,
            )
            try:
                status: int | None = process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                status = None
            out.seek(0)
            log.seek(0)
            lines = [parse(line) for line in out.read().decode("latin-1").splitlines()]
            return Life(status, [line for line in lines if line is not None], log.read().decode("utf-8", "replace"))

    def expect_calls(self, what: str, library: Path, case: Case, **more: Any) -> None:
        """One life with several calls, and what each of them must give."""
        words = [word for call in case.calls for word in (call.tool, call.input)]
        life = self.live(library, *words, options=("-c", json.dumps(case.config), *case.options), **more)
        self.check(life.status == 0, f"{what}: exit status {life.status}: {life.log[-2000:]}")
        answers = [line for line in life.lines if not {"id", "late_writes", "failed"} & line.keys()]
        wanted = [call for call in case.calls if call.tool != "@wait"]
        self.check(len(answers) == len(wanted), f"{what}: {len(answers)} of {len(wanted)} calls answered")
        for call, answer in zip(wanted, answers, strict=False):
            problem = call.problem(answer)
            self.check(problem is None, f"{what}: {call.tool}: {problem}")


def parse(line: str) -> dict[str, Any] | None:
    """A line of drive; None for what a plugin has written there."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None

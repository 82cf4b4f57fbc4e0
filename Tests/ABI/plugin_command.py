#!/usr/bin/env python3
"""Runs the program farebox-plugin on the fixtures of Tests/Plugins and on examples/plugins.

    Tests/ABI/plugin_command.py PROGRAM

FAREBOX_PLUGINS names the folder of the fixtures. What `validate` says of each must be what is wrong with it, and the same
for the same seed; the exit statuses are those that the program promises. Ends with one line of counts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples" / "plugins"
PROGRAM = sys.argv[1]
PLUGINS = Path(os.environ["FAREBOX_PLUGINS"])
passed = 0
failed = 0

# The test of the validator that must fail for a fixture; those before it pass.
BROKEN = {
    "constructor-crash": "life.start",
    "entry-exit": "life.start",
    "entry-fail": "life.start",
    "init-crash": "life.start",
    "init-fail": "life.start",
    "activate-fail": "life.start",
    "health-crash": "life.start",
    "health-fail": "life.start",
    "configure-crash": "life.configure",
    "configure-fail": "life.configure",
    "other-id": "life.start",
    "other-version": "life.start",
    "tools-fewer": "life.start",
    "tools-more": "life.start",
    "tools-null": "life.start",
    "table-null": "life.start",
    "table-wild": "life.start",
    "size-zero": "life.start",
    "init-null": "life.start",
    "call-null": "life.start",
    "no-symbol": "life.start",
    "undefined": "life.start",
    "major-hidden": "life.start",
    "major-other": "verification",
    "minor-needed": "verification",
    "wrong-hash": "verification",
    "changed": "verification",
    "file-writable": "verification",
    "not-elf": "life.start",
    "truncated": "life.start",
    "manifest-unknown": "manifest",
    "manifest-twice": "manifest",
    "manifest-not-json": "manifest",
    "manifest-greedy": "verification",
    "foreign-no-symbol": "life.start",
    "foreign-type": "manifest",
}
# Tests that must fail for the tools of `hostile`, and a word of what each says.
HOSTILE = {
    "segfault.generated": "SIGSEGV",
    "trap.generated": "SIG",
    "abort.generated": "SIGABRT",
    "exit.generated": "status 0",
    "raise.generated": "SIGKILL",
    "recurse.generated": "SIGSEGV",
    "loop.generated": "PLUGIN_DEADLINE",
    "ignore_signals.generated": "PLUGIN_DEADLINE",
    "sleep.bounded": "PLUGIN_DEADLINE",
    "flood_output.generated": "PLUGIN_OUTPUT_LIMIT",
    "flood_forever.generated": "PLUGIN_OUTPUT_LIMIT",
    "leak_descriptors.leaks": "descriptors",
    "no_output.generated": "PLUGIN_OUTPUT",
    "invalid_utf8.generated": "PLUGIN_OUTPUT",
    "invalid_json.generated": "PLUGIN_OUTPUT",
    "deep_json.generated": "PLUGIN_OUTPUT",
    "two_values.generated": "PLUGIN_OUTPUT",
    "wrong_output.generated": "PLUGIN_OUTPUT",
    "text_invalid.generated": "UTF-8",
    "write_everywhere.generated": "PLUGIN_CRASHED",
    "close_descriptors.generated": "PLUGIN_CRASHED",
}
# Whose tools do nothing wrong, in the same plugin.
HARMLESS = ["bytes_any", "error_then_ok", "list_descriptors", "environment"]


def check(holds: bool, what: str) -> None:
    """Counts a check, and says what does not hold."""
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print(f"plugin_command: {what}", file=sys.stderr)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def manifest(folder: Path) -> Path:
    return next(folder.glob("*.farebox.json"))


def validate(path: Path, *more: str) -> tuple[int, dict[str, Any]]:
    result = run("validate", path, "--seed", "7", "--rounds", "5", *more)
    try:
        return result.returncode, json.loads(result.stdout)
    except ValueError:
        return result.returncode, {"valid": None, "tests": [], "said": result.stderr}


def failures(report: dict[str, Any]) -> dict[str, str]:
    return {test["name"]: test.get("message", "") for test in report["tests"] if test["outcome"] == "failed"}


def check_valid(name: str, path: Path, *more: str) -> None:
    status, report = validate(path, *more)
    check(
        status == 0 and report["valid"] is True,
        f"{name} is valid, but {status}: {failures(report)} {report.get('said', '')}",
    )
    check(report.get("failed") == 0 and report.get("passed", 0) >= 6, f"{name}: counts of {report}")


def check_broken(name: str, test: str) -> None:
    status, report = validate(manifest(PLUGINS / name))
    found = failures(report)
    check(status == 1 and report["valid"] is False, f"{name} is not valid, but {status}: {report}")
    check(next(iter(found), None) == test, f"{name}: {test} must be the first to fail: {found}")
    check(bool(found.get(test)), f"{name}: {test} says why")


def check_hostile(work: Path) -> None:
    """With less time for those who hang."""
    shutil.copytree(PLUGINS / "hostile", work / "hostile")
    path = manifest(work / "hostile")
    path.write_text(path.read_text().replace('"deadline_ms": 1000', '"deadline_ms": 200'))
    status, report = validate(path)
    found = failures(report)
    check(status == 1 and report["valid"] is False, f"hostile is not valid, but {status}")
    for test, word in HOSTILE.items():
        message = found.get(f"tool.hostile.{test}", "")
        check(word in message and bool(message), f"hostile: {test} fails with {word}: {message!r}")
    for tool in HARMLESS:
        check(
            not any(name.startswith(f"tool.hostile.{tool}.") for name in found), f"hostile: {tool} does nothing wrong"
        )
    reproductions = [
        test.get("reproduction")
        for test in report["tests"]
        if test["outcome"] == "failed" and test["name"].endswith(".generated")
    ]
    check(all(reproductions), "what failed says how it is seen again")


def check_seeds() -> None:
    path = manifest(PLUGINS / "good-1.0.0")
    outputs = [run("validate", path, "--rounds", "5", "--seed", seed).stdout for seed in ("7", "7", "8")]
    check(outputs[0] == outputs[1], "the same seed gives the same report")
    check(json.loads(outputs[2])["seed"] == "8", "the report has its seed")
    chosen = json.loads(run("validate", path, "--rounds", "1").stdout)["seed"]
    again = run("validate", path, "--rounds", "1", "--seed", chosen)
    check(
        again.returncode == 0 and json.loads(again.stdout)["seed"] == chosen, "a seed that was chosen can be given back"
    )


def check_commands(work: Path) -> None:
    good = manifest(PLUGINS / "good-1.0.0")
    inspected = run("inspect", good)
    check(inspected.returncode == 0 and json.loads(inspected.stdout)["plugin"] == "org.farebox.test.good", "inspect")
    quoted = run("quote", good, "good.count", '{"units":"12.5"}')
    check(quoted.returncode == 0 and json.loads(quoted.stdout)["total"] == "0.0125", f"quote: {quoted}")
    check(run("quote", good, "good.nothing").returncode == 1, "quote of no tool")
    called = run("call", good, "good.add", '{"a":2,"b":40}')
    check(called.returncode == 0 and json.loads(called.stdout) == {"sum": 42}, f"call: {called}")
    configured = run("call", good, "good.config", "--config", '{"greeting":"hi"}')
    check(configured.returncode == 0 and json.loads(configured.stdout) == {"greeting": "hi"}, f"call: {configured}")
    refused = run("call", good, "good.add", "{}")
    check(refused.returncode == 1 and "PLUGIN_INPUT" in refused.stderr and refused.stdout == "", f"call: {refused}")
    crashed = run("call", manifest(PLUGINS / "hostile"), "hostile.segfault")
    check(crashed.returncode == 1 and "PLUGIN_CRASHED" in crashed.stderr, f"call: {crashed}")

    folder = work / "sealed"
    shutil.copytree(PLUGINS / "good-1.0.0", folder)
    path, library = manifest(folder), folder / "libgood.so"
    library.write_bytes(library.read_bytes() + b"more")
    check(run("call", path, "good.version").returncode == 1, "a library that is not what was sealed")
    before = path.read_text()
    sealed = run("seal", path)
    check(sealed.returncode == 0 and len(json.loads(sealed.stdout)["manifest_sha256"]) == 64, f"seal: {sealed}")
    after = json.loads(path.read_text())
    expected = json.loads(before)
    expected["files"][0]["sha256"] = after["files"][0]["sha256"]
    check(after == expected, "seal changes the hash alone")
    check(run("call", path, "good.version").returncode == 0, "a library that was sealed")

    key = work / "key"
    signed = run("sign", path, key)
    check(signed.returncode == 0 and len(json.loads(signed.stdout)["public_key"]) == 44, f"sign: {signed}")
    check(
        (folder / (path.name + ".sig")).exists() and key.stat().st_mode & 0o077 == 0,
        "a signature, and a key for nobody else",
    )
    check(run("sign", path, key).stdout == signed.stdout, "the same key again")

    scanned = work / "scanned"
    for name in ("good-1.0.0", "entry-crash"):
        shutil.copytree(PLUGINS / name, scanned / name)
    found = run("scan", scanned)
    states = {row["plugin"]: row["state"] for row in json.loads(found.stdout)["plugins"]}
    check(
        found.returncode == 0
        and states == {"org.farebox.test.good": "verified", "org.farebox.test.entry-crash": "quarantined"},
        f"scan: {states}",
    )

    for arguments in (
        [],
        ["inspect"],
        ["teapot", good],
        ["quote", good],
        ["call", good],
        ["sign", good],
        ["inspect", good, good],
        ["validate", good, "--seed"],
        ["validate", good, "--teapot", "1"],
    ):
        misused = run(*arguments)
        check(misused.returncode == 2 and misused.stdout == "" and "usage" in misused.stderr, f"{arguments}: {misused}")
    for arguments in (
        ["inspect", "/nonexistent.farebox.json"],
        ["validate", good, "--seed", "many"],
        ["validate", good, "--rounds", "0"],
        ["validate", good, "--config", "{"],
        ["call", good, "good.add", "{"],
        ["inspect", PLUGINS / "fixtures.json"],
        ["call", good, "good.add", "--permissions", '{"more":1}'],
    ):
        result = run(*arguments)
        check(result.returncode == 1 and result.stderr.startswith("farebox-plugin: "), f"{arguments}: {result}")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(4) as pool:
        work = Path(folder)
        jobs = [pool.submit(check_hostile, work), pool.submit(check_commands, work), pool.submit(check_seeds)]
        jobs.append(pool.submit(check_valid, "good-1.0.0", manifest(PLUGINS / "good-1.0.0")))
        jobs += [pool.submit(check_valid, name, manifest(EXAMPLES / name)) for name in ("zlib", "libm", "sqlite")]
        text = work / "text"
        subprocess.run(
            ["make", "--silent", "-C", str(EXAMPLES / "c"), f"OUT={text}"], check=True, stdout=subprocess.DEVNULL
        )
        jobs.append(pool.submit(check_valid, "text", manifest(text)))
        jobs += [pool.submit(check_broken, name, test) for name, test in BROKEN.items()]
        for job in jobs:
            job.result()
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

"""Plugins of an engine: what may be loaded, loading, replacing and watching them, and their tools as functions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Union

from . import _frames as frames
from ._encoding import borrowed, given, policy_json
from ._library import library
from ._tool_functions import function_of
from .money import Money

if TYPE_CHECKING:
    from .engine import Farebox

__all__ = ["Plugins", "set_plugin_policy"]

Path = Union[str, "os.PathLike[str]"]


def set_plugin_policy(policy: Mapping[str, Any] | None = None, **members: Any) -> None:
    """Says what plugins this process may load: a mapping, or its members by name (``docs/plugin-trust.md``).

    Until it is called nothing is loaded. It may be called again to allow less; what would allow more is refused.
    ``set_plugin_policy(directories=["/opt/farebox/plugins"], trust="signed", keys={"ours": "..."})``

    Threads: any; it is for all engines of the process. Plugins that are no longer allowed stop at their next call.
    Errors: RequestError with the field; PluginError PLUGIN_POLICY where it would allow more than before.
    """
    body = policy_json(members if policy is None else {**policy, **members} if members else policy)
    lib = library()
    frame = frames.take()
    try:
        code = lib.set_plugin_policy(borrowed(body), frame.error)
        if code:
            raise frame.failure(code)
    finally:
        frames.give(frame)


class Plugins:
    """The plugins of an engine, ``Farebox.plugins``; each method is the operation ``plugin.NAME`` and gives its answer.

    Threads: any.
    """

    __slots__ = ("_engine",)

    def __init__(self, engine: Farebox) -> None:
        self._engine = engine

    def load(
        self, path: Path | None = None, config: Mapping[str, Any] | None = None, *, plugin: str | None = None
    ) -> dict[str, Any]:
        """Verifies and starts a plugin, registers its skill, and opens its tools to calls.

        ``path`` is that of its manifest; or ``plugin`` is the id of one that ``scan`` has found. A secret in ``config``
        is ``{"env": "NAME"}``, a variable of the environment. One that is active already stays as it is.

        Errors: PluginError, StateError SKILL_EXISTS, RequestError for a ``config`` that its schema refuses.
        """
        return self._changing("load", path=_text(path), config=config, plugin=plugin)

    def replace(self, path: Path, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Puts another version in the place of an active plugin; if it is not well, the old one stays.

        Errors: as ``load``, and PluginError PLUGIN_INACTIVE.
        """
        return self._changing("replace", path=_text(path), config=config)

    def unload(self, plugin: str) -> dict[str, Any]:
        """Lets the calls of a plugin end and stops it; its tools then raise PLUGIN_INACTIVE.

        Errors: PluginError PLUGIN_NOT_FOUND.
        """
        return self._do("unload", plugin=plugin)

    def configure(self, plugin: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Gives an active plugin another configuration; one that is refused changes nothing.

        Errors: PluginError, RequestError for what its schema refuses.
        """
        return self._do("configure", plugin=plugin, config=config)

    def scan(self, probe: bool = True) -> dict[str, Any]:
        """Looks for plugins below the policy's folders, and starts each new one to see that it works.

        Without ``probe`` only files are looked at.

        Errors: PluginError PLUGINS_OFF.
        """
        return self._do("scan", probe=probe)

    def list(self, state: str | None = None) -> dict[str, Any]:
        """Lists the plugins that are loaded or were found, and why one is not active."""
        return self._do("list", state=state)

    def inspect(
        self, plugin: str | None = None, *, path: Path | None = None, manifest: str | None = None
    ) -> dict[str, Any]:
        """Tells everything about a plugin by its id, its manifest's path or text, without running anything.

        Errors: PluginError PLUGIN_NOT_FOUND, PLUGIN_MANIFEST.
        """
        return self._do("inspect", plugin=plugin, path=_text(path), manifest=manifest)

    def quote(
        self,
        tool: str,
        usage: Mapping[str, Any] | None = None,
        *,
        plugin: str | None = None,
        path: Path | None = None,
        manifest: str | None = None,
    ) -> dict[str, Any]:
        """Quotes a tool by a manifest alone, without running, loading or registering anything.

        Units: ``usage`` by meter; amounts in major units, as decimal text.
        Errors: PluginError, StateError TOOL_NOT_FOUND, PaymentRefused UNPRICEABLE.
        """
        return self._do("quote", tool=tool, usage=usage, plugin=plugin, path=_text(path), manifest=manifest)

    def health(self, plugin: str) -> dict[str, Any]:
        """Asks a plugin whether calls are likely to work.

        Errors: PluginError PLUGIN_NOT_FOUND.
        """
        return self._do("health", plugin=plugin)

    def logs(self, plugin: str, after: int | None = None, limit: int | None = None) -> dict[str, Any]:
        """Gives the latest lines of a plugin's log, oldest first; ``after`` is the number of the last one seen.

        Errors: PluginError PLUGIN_NOT_FOUND.
        """
        return self._do("logs", plugin=plugin, after=after, limit=limit)

    def metrics(self, plugin: str | None = None) -> dict[str, Any]:
        """Gives counters of the plugins that are loaded, since each was.

        Errors: PluginError PLUGIN_NOT_FOUND.
        """
        return self._do("metrics", plugin=plugin)

    def validate(
        self,
        path: Path,
        *,
        seed: int | None = None,
        rounds: int | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Puts a plugin through conformance tests and generated inputs, each in a process of its own.

        Errors: PluginError PLUGINS_OFF; what is wrong with the plugin is in the report.
        """
        return self._do("validate", path=_text(path), seed=seed, rounds=rounds, config=config)

    def tool(
        self,
        name: str,
        *,
        payer: str | None = None,
        max_cost: Money | None = None,
        deadline: float | None = None,
        durability: str | None = None,
        coroutine: bool = False,
    ) -> Callable[..., Any]:
        """Makes a function of a tool: its parameters, their types and its docstring are the tool's own.

        Its arguments are given by name; it returns what the tool gave, as JSON, str or bytes as the manifest says. Each
        call of it is one of ``call_tool`` with the arguments given here. With ``coroutine`` it is a coroutine function,
        over ``call_tool_async``. It is that of the version that is active now.

        Errors: StateError TOOL_NOT_FOUND; PluginError PLUGIN_NOT_FOUND where its plugin is not loaded.
        """
        engine = self._engine
        skill = engine.call("tool.inspect", tool=name)["skill"]
        manifest = self.inspect(skill)["manifest"]
        entry = next(entry for entry in manifest["tools"] if entry["name"] == name)
        terms = given(payer=payer, max_cost=max_cost, deadline=deadline, durability=durability)
        return function_of(engine, entry, foreign=manifest["kind"] == "foreign", terms=terms, coroutine=coroutine)

    def _do(self, operation: str, **fields: Any) -> dict[str, Any]:
        return self._engine._call(f"plugin.{operation}", given(**fields))

    def _changing(self, operation: str, **fields: Any) -> dict[str, Any]:
        done = self._do(operation, **fields)
        self._engine._tool_assets = {}
        return done


def _text(path: Path | None) -> str | None:
    return None if path is None else os.fspath(path)

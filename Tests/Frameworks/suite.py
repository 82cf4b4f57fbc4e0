"""What every framework is held to: the same checks, run through the framework's own agent or server.

A framework's file gives a Host, which hands tools to the framework, lets a scripted model call them, and returns what the
model reads. The adapters come from docs/frameworks.md as they stand there.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import farebox
import pytest
from farebox import Farebox

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "frameworks.md"
REFUSED = "The tool search was not run: "
REASONS = (
    "the account has no credit left. Add credit, then try again.",
    "the account's credit is held by calls that are still running. Try again when they have finished, or add credit.",
)


class Call(NamedTuple):
    """One tool call of the scripted model."""

    id: str
    tool: str
    arguments: dict[str, Any]


def adapter(heading: str) -> dict[str, Any]:
    """Runs the code of a section of docs/frameworks.md; its names."""
    text = PAGE.read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.M)
    [section] = [one for one in sections if one.splitlines()[0] == heading]
    blocks = re.findall(r"^```python\n(.*?)^```$", section, flags=re.M | re.S)
    assert len(blocks) == 1, heading
    line = text[: text.index(blocks[0])].count("\n")
    names: dict[str, Any] = {"__name__": "docs_frameworks"}
    exec(compile("\n" * line + blocks[0], str(PAGE), "exec"), names)
    return names


class Host:
    """One framework."""

    ends_on_failure = False
    """Whether a tool that raises ends the run instead of telling the model."""

    in_threads = False
    """Whether the framework runs sync tools on other threads."""

    async def run(self, tools: list[Any], calls: list[Call], *, run: str, payer: str | None) -> dict[str, str]:
        """Lets the model make the calls at once; what it reads, by call id. Without a payer nothing is entered."""
        raise NotImplementedError

    async def schema(self, tool: Any) -> tuple[str, dict[str, Any]]:
        """The description and the schema of the arguments that the model is given."""
        raise NotImplementedError


class Tools:
    """Tools that count how often they have really run."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.threads: set[int] = set()
        self.lock = threading.Lock()

    def note(self, what: str) -> None:
        with self.lock:
            self.ran.append(what)
            self.threads.add(threading.get_ident())

    def search(self) -> Callable[..., Any]:
        @farebox.pricing(cost="0.01")
        async def search(query: str, limit: int = 5) -> str:
            """Search the catalogue for a query."""
            await asyncio.sleep(0.002)
            self.note(query)
            return f"found {query}"

        return search

    def search_in_a_thread(self) -> Callable[..., Any]:
        @farebox.pricing(cost="0.01")
        def search(query: str, limit: int = 5) -> str:
            """Search the catalogue for a query."""
            self.note(query)
            return f"found {query}"

        return search


@pytest.fixture(params=["memory", "file"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Farebox]:
    """A ledger where user:ana has money for 20 searches; it must verify and hold nothing at the end.

    Calls on a file may wait for the disk, so coroutines begin and finish theirs on other threads.
    """
    with Farebox.open("memory:" if request.param == "memory" else tmp_path / "ledger.db") as opened:
        for account in ("user:ana", "user:bob"):
            opened.open_account(account)
        opened.deposit("user:ana", "0.20")
        yield opened
        assert opened.balance("user:ana").held == 0
        assert opened.call("ledger.verify")["valid"] is True
        found = opened.call("ledger.reconcile")
        assert found["balanced"] is True and found["open_holds"] == 0, found


def searches(count: int, *, prefix: str = "call") -> list[Call]:
    return [Call(f"{prefix}-{number}", "search", {"query": f"q{number}"}) for number in range(count)]


def cost_of(engine: Farebox, run: str) -> tuple[Decimal, int]:
    """What a run has spent, and in how many charges."""
    [found] = engine.run_cost(run)["assets"]
    return Decimal(found["spent"]), found["count"]


def check_refusal(text: str) -> None:
    """The sentence is the one for a model, with nothing of the ledger's."""
    assert any(REFUSED + reason in text for reason in REASONS), text
    for secret in ("user:ana", "INSUFFICIENT", "USD", "0.0", "0.2", "available"):
        assert secret not in text, text


class FrameworkSuite:
    """The checks; a framework's file subclasses this with its host."""

    @pytest.fixture
    def host(self, engine: Farebox) -> Host:
        raise NotImplementedError

    def test_signature_and_docstring_reach_the_model(self, host: Host) -> None:
        for tool in (Tools().search(), Tools().search_in_a_thread()):
            description, schema = asyncio.run(host.schema(tool))
            assert "Search the catalogue for a query." in description
            assert schema["properties"]["query"]["type"].lower() == "string"
            assert schema["properties"]["limit"]["type"].lower() == "integer"
            assert "query" in schema["required"]
            assert set(schema["properties"]) == {"query", "limit"}

    @pytest.mark.parametrize("kind", ["search", "search_in_a_thread"])
    def test_of_50_parallel_calls_with_money_for_20_exactly_20_run(
        self, host: Host, engine: Farebox, kind: str
    ) -> None:
        tools = Tools()
        read = asyncio.run(host.run([getattr(tools, kind)()], searches(50), run="run-1", payer="user:ana"))
        assert len(read) == 50
        assert len(tools.ran) == len(set(tools.ran)) == 20
        done = [text for text in read.values() if "found q" in text]
        assert len(done) == 20
        for text in read.values():
            if "found q" not in text:
                check_refusal(text)
        assert engine.balance("user:ana").balance == 0
        assert cost_of(engine, "run-1") == (Decimal("0.20"), 20)
        if kind == "search_in_a_thread" and host.in_threads:
            assert threading.main_thread().ident not in tools.threads

    def test_ids_that_repeat_in_another_run_are_charged_again(self, host: Host, engine: Farebox) -> None:
        tools = Tools()
        search = tools.search()
        for number in range(3):
            read = asyncio.run(host.run([search], searches(2), run=f"run-{number}", payer="user:ana"))
            assert all("found q" in text for text in read.values())
        assert len(tools.ran) == 6
        assert engine.balance("user:ana").balance == Decimal("0.14")

    def test_a_call_that_is_retried_in_its_run_is_charged_once(self, host: Host, engine: Farebox) -> None:
        tools = Tools()
        search = tools.search()
        for _ in range(3):
            read = asyncio.run(host.run([search], searches(2), run="run-1", payer="user:ana"))
            assert all("found q" in text for text in read.values())
        assert engine.balance("user:ana").balance == Decimal("0.18")

    def test_a_tool_that_raises_costs_nothing_and_its_retry_is_charged(self, host: Host, engine: Farebox) -> None:
        attempts: list[str] = []

        @farebox.pricing(cost="0.01")
        async def search(query: str) -> str:
            """Search, and fail at first."""
            attempts.append(query)
            if len(attempts) == 1:
                raise ValueError("the catalogue is down")
            return f"found {query}"

        async def attempt() -> dict[str, str]:
            return await host.run([search], searches(1), run="run-1", payer="user:ana")

        if host.ends_on_failure:
            with pytest.raises(ValueError, match="the catalogue is down"):
                asyncio.run(attempt())
        else:
            assert "found" not in asyncio.run(attempt())["call-0"]
        assert engine.balance("user:ana").balance == Decimal("0.20")
        assert "found q0" in asyncio.run(attempt())["call-0"]
        assert engine.balance("user:ana").balance == Decimal("0.19")

    def test_a_result_that_says_it_failed_costs_nothing(self, host: Host, engine: Farebox) -> None:
        @farebox.pricing(cost="0.01")
        async def search(query: str) -> dict:
            """Search, and report a failure."""
            return {"isError": True, "content": [{"type": "text", "text": "no such catalogue"}]}

        read = asyncio.run(host.run([search], searches(1), run="run-1", payer="user:ana"))
        assert "no such catalogue" in read["call-0"]
        assert engine.balance("user:ana").balance == Decimal("0.20")

    def test_a_stream_inside_a_tool_is_charged_what_it_records(self, host: Host, engine: Farebox) -> None:
        @farebox.pricing(cost={"output_token": "0.001"}, max_cost="0.05")
        async def write(query: str) -> Any:
            for word in query.split():
                await asyncio.sleep(0)
                farebox.record_usage(output_tokens=3)
                yield word

        async def search(query: str) -> str:
            """Write about a query."""
            return " ".join([word async for word in write(query)])

        calls = [Call("call-0", "search", {"query": "one two three"}), Call("call-1", "search", {"query": "one two"})]
        read = asyncio.run(host.run([search], calls, run="run-1", payer="user:ana"))
        assert "one two three" in read["call-0"]
        assert engine.balance("user:ana").balance == Decimal("0.185")
        assert cost_of(engine, "run-1") == (Decimal("0.015"), 2)

    def test_usage_that_a_tool_records_is_charged_up_to_the_maximum(self, host: Host, engine: Farebox) -> None:
        @farebox.pricing(cost={"input_token": "0.0001", "output_token": "0.001"}, max_cost="0.02")
        async def search(query: str) -> str:
            """Ask a model."""
            farebox.record_usage(input_tokens=10, output_tokens=4 if query == "q0" else 400)
            return f"found {query}"

        asyncio.run(host.run([search], searches(2), run="run-1", payer="user:ana"))
        assert engine.balance("user:ana").balance == Decimal("0.20") - Decimal("0.005") - Decimal("0.02")

    def test_a_cancelled_run_pays_nothing_for_what_was_not_delivered(self, host: Host, engine: Farebox) -> None:
        started: list[str] = []

        async def main() -> None:
            begun = asyncio.Event()

            @farebox.pricing(cost="0.01")
            async def search(query: str) -> str:
                """Search for ever."""
                started.append(query)
                if len(started) == 5:
                    begun.set()
                await asyncio.sleep(60)
                return f"found {query}"

            task = asyncio.ensure_future(host.run([search], searches(5), run="run-1", payer="user:ana"))
            await asyncio.wait_for(begun.wait(), 20)
            assert engine.balance("user:ana").held == Decimal("0.05")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for _ in range(200):
                if engine.balance("user:ana").held == 0:
                    break
                await asyncio.sleep(0.01)

        asyncio.run(main())
        assert len(started) == 5
        assert engine.balance("user:ana").held == 0
        assert engine.balance("user:ana").balance == Decimal("0.20")

    def test_a_thread_that_outlives_its_run_is_charged_for_what_it_finished(self, host: Host, engine: Farebox) -> None:
        """A thread cannot be cancelled: its tool ends as if nothing had happened, and nothing stays held."""
        if not host.in_threads:
            pytest.skip("the framework runs sync tools on the event loop")
        finished: list[str] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            begun, going = asyncio.Event(), threading.Event()

            @farebox.pricing(cost="0.01")
            def search(query: str) -> str:
                """Search slowly."""
                loop.call_soon_threadsafe(begun.set)
                assert going.wait(20)
                finished.append(query)
                return f"found {query}"

            task = asyncio.ensure_future(host.run([search], searches(1), run="run-1", payer="user:ana"))
            await asyncio.wait_for(begun.wait(), 20)
            task.cancel()
            await asyncio.sleep(0.01)
            going.set()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        for _ in range(500):
            if engine.balance("user:ana").held == 0:
                break
            time.sleep(0.01)
        assert finished == ["q0"]
        assert engine.balance("user:ana").balance == Decimal("0.19")

    @pytest.mark.parametrize("kind", ["search", "search_in_a_thread"])
    def test_a_call_without_a_payer_does_not_run(self, host: Host, engine: Farebox, kind: str) -> None:
        tools = Tools()
        search = getattr(tools, kind)()

        async def attempt() -> dict[str, str]:
            return await host.run([search], searches(1), run="run-1", payer=None)

        if host.ends_on_failure:
            with pytest.raises(farebox.RequestError, match="no payer"):
                asyncio.run(attempt())
        else:
            assert "found" not in asyncio.run(attempt())["call-0"]
        assert tools.ran == []

    def test_two_payers_at_once_pay_for_their_own_runs(self, host: Host, engine: Farebox) -> None:
        engine.deposit("user:bob", "0.07")
        tools = Tools()
        search = tools.search()

        async def both() -> list[dict[str, str]]:
            return await asyncio.gather(
                host.run([search], searches(10), run="run-1", payer="user:ana"),
                host.run([search], searches(10), run="run-1", payer="user:bob"),
            )

        ana, bob = asyncio.run(both())
        assert sum("found q" in text for text in ana.values()) == 10
        assert sum("found q" in text for text in bob.values()) == 7
        assert engine.balance("user:ana").balance == Decimal("0.10")
        assert engine.balance("user:bob").balance == 0


def text_of(content: Any) -> str:
    """What a model reads, as text."""
    return content if isinstance(content, str) else json.dumps(content, default=str)

"""mcp 2: a server whose tools a client calls over streams in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import farebox
import pytest
from farebox import Farebox
from mcp import Client
from mcp_types import CallToolResult, TextContent
from suite import Call, FrameworkSuite, Host, adapter, check_refusal, engine

__all__ = ["engine"]

page = adapter("mcp 2")


@contextlib.asynccontextmanager
async def connected(server: Any) -> AsyncIterator[Any]:
    async with Client(server) as client:
        yield client


class MCP(Host):
    in_threads = True

    def __init__(self, engine: Farebox) -> None:
        self.engine = engine

    async def run(self, tools: list[Any], calls: list[Call], *, run: str, payer: str | None) -> dict[str, str]:
        server = page["make_server"](self.engine, lambda context: payer, tools, trusted=True)

        async def one(client: Any, call: Call) -> str:
            meta = {"com.example/run": run, "com.example/call": call.id}
            return read_by_the_model(await client.call_tool(call.tool, call.arguments, meta=meta))

        async with connected(server) as client:
            texts = await asyncio.gather(*(one(client, call) for call in calls))
        return {call.id: text for call, text in zip(calls, texts)}

    async def schema(self, tool: Any) -> tuple[str, dict[str, Any]]:
        async with connected(page["make_server"](self.engine, lambda context: None, [tool])) as client:
            [listed] = (await client.list_tools()).tools
        return str(listed.description), dict(listed.input_schema)


def read_by_the_model(result: Any) -> str:
    return "".join(part.text for part in result.content if part.type == "text")


class TestMCP2(FrameworkSuite):
    @pytest.fixture
    def host(self, engine: Farebox) -> Host:
        return MCP(engine)


def test_an_error_result_costs_nothing(engine: Farebox) -> None:
    @farebox.pricing(cost="0.01")
    async def search(query: str) -> CallToolResult:
        """Search, and report a failure as MCP does."""
        return CallToolResult(content=[TextContent(type="text", text="no such catalogue")], is_error=True)

    async def main() -> Any:
        server = page["make_server"](engine, lambda context: "user:ana", [search])
        async with connected(server) as client:
            return await client.call_tool("search", {"query": "q"})

    result = asyncio.run(main())
    assert result.is_error
    assert read_by_the_model(result) == "no such catalogue"
    assert engine.balance("user:ana").balance == Decimal("0.20")


def test_a_client_that_is_not_trusted_cannot_repeat_a_call_for_nothing(engine: Farebox) -> None:
    """Request ids restart in each session, and _meta is the client's: neither names a call."""

    @farebox.pricing(cost="0.01")
    async def search(query: str) -> str:
        """Search."""
        return f"found {query}"

    async def main() -> list[Any]:
        results = []
        for _ in range(22):
            server = page["make_server"](engine, lambda context: "user:ana", [search])
            async with connected(server) as client:
                meta = {"com.example/run": "run", "com.example/call": "call-0"}
                results.append(await client.call_tool("search", {"query": "q"}, meta=meta))
        return results

    results = asyncio.run(main())
    assert [bool(result.is_error) for result in results] == [False] * 20 + [True] * 2
    check_refusal(read_by_the_model(results[-1]))
    assert engine.balance("user:ana").balance == 0

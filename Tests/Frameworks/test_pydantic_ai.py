"""pydantic-ai: an Agent with tools and its own FunctionModel."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal
from typing import Any

import farebox
import pytest
from farebox import Farebox
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from suite import Call, FrameworkSuite, Host, adapter, engine, searches, text_of

__all__ = ["engine"]

page = adapter("pydantic-ai")


class PydanticAI(Host):
    ends_on_failure = True
    in_threads = True

    def __init__(self, engine: Farebox) -> None:
        self.engine = engine

    async def run(self, tools: list[Any], calls: list[Call], *, run: str, payer: str | None) -> dict[str, str]:
        read: dict[str, str] = {}

        def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            parts = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
            if parts:
                read.update({part.tool_call_id: text_of(part.content) for part in parts})
                return ModelResponse(parts=[TextPart("done")])
            return ModelResponse(parts=[ToolCallPart(call.tool, call.arguments, call.id) for call in calls])

        agent = Agent(FunctionModel(answer), tools=tools, capabilities=[page["Metering"]()])
        paying = self.engine.paying(payer, run=run) if payer is not None else contextlib.nullcontext()
        with paying:
            await agent.run("search")
        return read

    async def schema(self, tool: Any) -> tuple[str, dict[str, Any]]:
        seen: list[Any] = []

        def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            seen.extend(info.function_tools)
            return ModelResponse(parts=[TextPart("done")])

        await Agent(FunctionModel(answer), tools=[tool]).run("search")
        return seen[0].description, seen[0].parameters_json_schema


class TestPydanticAI(FrameworkSuite):
    @pytest.fixture
    def host(self, engine: Farebox) -> Host:
        return PydanticAI(engine)


def test_usage_of_a_streamed_answer_is_recorded_after_its_block(engine: Farebox) -> None:
    """A tool that asks another agent: how many tokens its stream took is known when the block has ended."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> Any:
        for word in ("one ", "two ", "three"):
            yield word

    writer = Agent(FunctionModel(stream_function=stream))
    seen: list[int] = []

    @farebox.pricing(cost={"output_token": "0.001"}, max_cost="0.10")
    async def search(query: str) -> str:
        """Ask another agent."""
        async with writer.run_stream(query) as answer:
            text = "".join([part async for part in answer.stream_text(delta=True)])
        seen.append(answer.usage.output_tokens)
        farebox.record_usage(output_tokens=answer.usage.output_tokens)
        return text

    read = asyncio.run(PydanticAI(engine).run([search], searches(1), run="run-1", payer="user:ana"))
    assert read == {"call-0": "one two three"}
    assert seen[0] > 0
    assert engine.balance("user:ana").balance == Decimal("0.20") - Decimal("0.001") * seen[0]

"""openai-agents: function tools, the Runner, and a scripted Model."""

from __future__ import annotations

import asyncio
import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage
from farebox import Farebox
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from suite import Call, FrameworkSuite, Host, Tools, adapter, check_refusal, engine, searches, text_of

__all__ = ["engine"]

page = adapter("openai-agents")


class Scripted(Model):
    """Makes all its calls in its first answer, and keeps what it reads."""

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls
        self.read: dict[str, str] = {}

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        outputs = [one for one in input if isinstance(one, dict) and one.get("type") == "function_call_output"]
        if not outputs:
            answer: list[Any] = [
                ResponseFunctionToolCall(
                    call_id=call.id, name=call.tool, arguments=json.dumps(call.arguments), type="function_call"
                )
                for call in self.calls
            ]
        else:
            self.read = {one["call_id"]: text_of(one["output"]) for one in outputs}
            content = ResponseOutputText(text="done", type="output_text", annotations=[])
            answer = [
                ResponseOutputMessage(
                    id="m", content=[content], role="assistant", status="completed", type="message"
                )
            ]
        return ModelResponse(output=answer, usage=Usage(), response_id=None)

    async def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        answer = await self.get_response(*args, **kwargs)
        response = Response(
            id="r",
            created_at=0,
            model="scripted",
            object="response",
            output=answer.output,
            tool_choice="auto",
            tools=[],
            parallel_tool_calls=True,
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)


class Agents(Host):
    in_threads = True

    def __init__(self, engine: Farebox) -> None:
        self.engine = engine

    async def run(self, tools: list[Any], calls: list[Call], *, run: str, payer: str | None) -> dict[str, str]:
        model = Scripted(calls)
        agent = Agent(name="shop", model=model, tools=[page["metered"](tool) for tool in tools])
        paying = self.engine.paying(payer, run=run) if payer is not None else contextlib.nullcontext()
        with paying:
            await Runner.run(agent, "search", run_config=RunConfig(tracing_disabled=True))
        return model.read

    async def schema(self, tool: Any) -> tuple[str, dict[str, Any]]:
        made = page["metered"](tool)
        schema = dict(made.params_json_schema)
        return made.description, schema


class TestOpenAIAgents(FrameworkSuite):
    @pytest.fixture
    def host(self, engine: Farebox) -> Host:
        return Agents(engine)


def test_a_streamed_run_whose_caller_has_left_the_block_is_paid_for(engine: Farebox) -> None:
    """run_streamed starts its task inside the block; the events are read after it."""
    tools = Tools()
    model = Scripted(searches(25))

    async def main() -> None:
        agent = Agent(name="shop", model=model, tools=[page["metered"](tools.search())])
        with engine.paying("user:ana", run="run-1"):
            result = Runner.run_streamed(agent, "search", run_config=RunConfig(tracing_disabled=True))
        async for _ in result.stream_events():
            pass

    asyncio.run(main())
    refused = [text for text in model.read.values() if "found q" not in text]
    assert len(tools.ran) == 20 and len(refused) == 5
    for text in refused:
        check_refusal(text)
    assert engine.balance("user:ana").balance == Decimal(0)

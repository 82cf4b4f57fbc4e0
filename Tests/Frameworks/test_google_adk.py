"""google-adk: an agent in the in-memory runner, with a scripted BaseLlm."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from farebox import Farebox
from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai import types
from suite import Call, FrameworkSuite, Host, adapter, engine, text_of

__all__ = ["engine"]

page = adapter("google-adk")


class Scripted(BaseLlm):
    """Makes all its calls in its first answer, and keeps what it reads."""

    model: str = "scripted"
    calls: list[Any]
    read: dict[str, str] = {}

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        parts = [part for content in llm_request.contents for part in content.parts or []]
        outputs = [part.function_response for part in parts if part.function_response is not None]
        if outputs:
            self.read.update({str(one.id): text_of(one.response) for one in outputs})
            yield LlmResponse(content=types.Content(role="model", parts=[types.Part(text="done")]))
            return
        calls = [types.FunctionCall(id=call.id, name=call.tool, args=call.arguments) for call in self.calls]
        yield LlmResponse(
            content=types.Content(role="model", parts=[types.Part(function_call=call) for call in calls])
        )


class ADK(Host):
    ends_on_failure = True

    def __init__(self, engine: Farebox) -> None:
        self.engine = engine

    async def run(self, tools: list[Any], calls: list[Call], *, run: str, payer: str | None) -> dict[str, str]:
        model = Scripted(calls=calls)
        agent = LlmAgent(name="shop", model=model, tools=[page["MeteredTool"](tool) for tool in tools])
        runner = InMemoryRunner(agent=agent, app_name="shop")
        session = await runner.session_service.create_session(app_name="shop", user_id="ana")
        message = types.Content(role="user", parts=[types.Part(text="search")])
        paying = self.engine.paying(payer, run=run) if payer is not None else contextlib.nullcontext()
        with paying:
            async for _ in runner.run_async(user_id="ana", session_id=session.id, new_message=message):
                pass
        return model.read

    async def schema(self, tool: Any) -> tuple[str, dict[str, Any]]:
        declared = page["MeteredTool"](tool)._get_declaration()
        schema = declared.parameters_json_schema or declared.parameters.model_dump(exclude_none=True, mode="json")
        return declared.description, schema


class TestGoogleADK(FrameworkSuite):
    @pytest.fixture
    def host(self, engine: Farebox) -> Host:
        return ADK(engine)

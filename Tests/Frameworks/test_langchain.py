"""langchain's create_agent, which runs on langgraph, with a scripted chat model."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import farebox
import pytest
from farebox import Farebox
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool as as_tool
from langgraph.checkpoint.memory import InMemorySaver
from suite import Call, FrameworkSuite, Host, adapter, engine, searches, text_of

__all__ = ["engine"]

page = adapter("langchain and langgraph")


class Scripted(BaseChatModel):
    """Makes all its calls in its first answer, and keeps what it reads."""

    calls: list[Any]
    read: dict[str, str] = {}

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        outputs = [one for one in messages if isinstance(one, ToolMessage)]
        if outputs:
            self.read.update({one.tool_call_id: text_of(one.content) for one in outputs})
            answer = AIMessage("done")
        else:
            calls = [{"id": call.id, "name": call.tool, "args": call.arguments} for call in self.calls]
            answer = AIMessage("", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=answer)])


class LangChain(Host):
    ends_on_failure = True
    in_threads = True

    def __init__(self, engine: Farebox, sync: bool) -> None:
        self.engine = engine
        self.sync = sync

    async def run(self, tools: list[Any], calls: list[Call], *, run: str, payer: str | None) -> dict[str, str]:
        model = Scripted(calls=calls)
        agent = create_agent(model, [as_tool(tool) for tool in tools], middleware=[page["Metering"]()])
        paying = self.engine.paying(payer, run=run) if payer is not None else contextlib.nullcontext()
        with paying:
            if self.sync:
                agent.invoke({"messages": [("user", "search")]})
            else:
                await agent.ainvoke({"messages": [("user", "search")]})
        return model.read

    async def schema(self, tool: Any) -> tuple[str, dict[str, Any]]:
        made = as_tool(tool)
        return made.description, made.tool_call_schema.model_json_schema()


class TestLangChain(FrameworkSuite):
    @pytest.fixture
    def host(self, engine: Farebox) -> Host:
        return LangChain(engine, sync=False)


def test_invoke_runs_sync_tools_in_threads_that_have_the_payer(engine: Farebox) -> None:
    """The sync door of the same agent: each tool in a thread of a pool."""
    suite = TestLangChain()
    suite.test_of_50_parallel_calls_with_money_for_20_exactly_20_run(
        LangChain(engine, sync=True), engine, "search_in_a_thread"
    )


def test_a_run_that_resumes_after_a_crash_is_charged_once(engine: Farebox) -> None:
    """The crash comes between the tool and the checkpoint, so langgraph runs the tool again."""
    ran: list[str] = []
    crashes = [True]

    @farebox.pricing(cost="0.01")
    def search(query: str) -> str:
        """Search."""
        ran.append(query)
        return f"found {query}"

    class Crash(AgentMiddleware):
        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            result = handler(request)
            if crashes:
                crashes.pop()
                raise ConnectionError("the machine has lost its power")
            return result

    model = Scripted(calls=searches(1))
    agent = create_agent(
        model, [as_tool(search)], middleware=[Crash(), page["Metering"]()], checkpointer=InMemorySaver()
    )
    config: Any = {"configurable": {"thread_id": "t"}}
    with engine.paying("user:ana", run="t"):
        with pytest.raises(ConnectionError):
            agent.invoke({"messages": [("user", "search")]}, config)
        agent.invoke(None, config)
    assert ran == ["q0", "q0"]
    assert model.read == {"call-0": "found q0"}
    assert engine.balance("user:ana").balance == Decimal("0.19")

"""What a listener to tokens receives: LangGraph's `stream_mode="messages"`, `astream_events`, `model.astream`.

Tokens are streamed by ChatOpenAI itself. A request for several choices never is, since their tokens come mixed: each
choice is then told whole, under its own id. So is an answer from a model that refused a part of a request, and one
whose stream is refused: only whole answers are negotiated (`negotiation.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_openai.chat_models.base import BaseChatOpenAI

from anyprefer.models.servers.negotiation import Terms
from anyprefer.models.servers.openai_wire import BESIDE


class StreamedChat(BaseChatOpenAI):
    """BaseChatOpenAI whose choices are never mixed."""

    @property
    def terms(self) -> Terms:
        """What the server takes of this model's requests, as far as the run knows."""
        raise NotImplementedError

    def _should_stream(self, *, async_api: bool, run_manager: Any = None, **kwargs: Any) -> bool:
        one = (kwargs.get("n") or self.n or 1) == 1
        return one and super()._should_stream(async_api=async_api, run_manager=run_manager, **kwargs)

    def _should_use_protocol_streaming(self, *, async_api: bool, run_manager: Any = None, **kwargs: Any) -> bool:
        one = (kwargs.get("n") or self.n or 1) == 1
        return one and super()._should_use_protocol_streaming(async_api=async_api, run_manager=run_manager, **kwargs)

    async def _tell(self, result: ChatResult, run_manager: AsyncCallbackManagerForLLMRun | None) -> None:
        """Tells a listener to tokens each of several choices, under the id that its message has afterwards."""
        if run_manager is None or len(result.generations) < 2:
            return
        if super()._should_stream(async_api=True, run_manager=run_manager):
            for number, generation in enumerate(result.generations):
                generation.message.id = f"run-{run_manager.run_id}-{number}"
                chunk = _chunk(generation)
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if not self.terms.said:
            chunks = super()._astream(messages, stop, run_manager, **kwargs)
            try:
                first = await anext(chunks, None)
            except openai.APIStatusError:
                first = None
            if first is not None:
                yield first
                async for chunk in chunks:
                    yield chunk
                return
        asked = {name: value for name, value in kwargs.items() if name not in ("stream", "stream_usage")}
        [generation, *_] = (await self._agenerate(messages, stop, None, **asked)).generations
        chunk = _chunk(generation)
        if run_manager:
            await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
        yield chunk

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        made = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        choices = chunk.get("choices") or (chunk.get("chunk") or {}).get("choices") or [{}]
        delta = choices[0].get("delta") or {}
        if made is not None and isinstance(delta, dict):
            kept = {name: delta[name] for name in BESIDE[:2] if isinstance(delta.get(name), str)}
            made.message.additional_kwargs.update(kept)
        return made


def _chunk(generation: ChatGeneration) -> ChatGenerationChunk:
    """A whole choice as one chunk."""
    message = generation.message
    assert isinstance(message, AIMessage)
    said = AIMessageChunk(
        content=message.content,
        id=message.id,
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        tool_calls=message.tool_calls,
        invalid_tool_calls=message.invalid_tool_calls,
        usage_metadata=message.usage_metadata,
    )
    return ChatGenerationChunk(message=said, generation_info=generation.generation_info)

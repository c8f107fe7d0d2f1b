"""ChatOpenAI over a transport that costs a fraction of its CPU and keeps to an endpoint's limits.

Configured as ChatOpenAI is, and everything it can do works: what is not spoken here (streaming, the Responses
API, parsed structured output, audio, clients and proxies of one's own, parameters unknown here) goes through
ChatOpenAI itself, without limits and retries of ours.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from typing import Any, cast

import aiohttp
from langchain_core.callbacks import AsyncCallbackManager, AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import Field, PrivateAttr, SecretStr
from yarl import URL

from anyprefer.core.background_loop import on_background_loop, run_blocking
from anyprefer.core.errors import AnswerError, ModelError, PartRefused
from anyprefer.core.listening import unheard
from anyprefer.models.image_tokens import surplus
from anyprefer.models.servers.endpoint import Endpoint
from anyprefer.models.servers.http import Route, proxy_for
from anyprefer.models.servers.image_sizes import sized
from anyprefer.models.servers.negotiation import Deal, Terms, encoded
from anyprefer.models.servers.openai_wire import SPOKEN, as_dicts, chat_message, chat_messages, chat_result, common
from anyprefer.models.servers.streaming import StreamedChat
from anyprefer.models.servers.traffic import Request

_O_SERIES = re.compile(r"o\d")
"""Models that get `developer` messages for `system` ones; LangChain's converter knows how."""

CONNECT = 10.0
"""Seconds to open a connection: a server that is there takes one in far less."""
OFF = {"top_p": 1.0, "n": 1, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""Values that ask for nothing; they are not sent, since some servers refuse the very names."""


class _Static:
    """What one model object's requests have in common, built once; built again when the model is changed."""

    def __init__(self, model: PostedChat) -> None:
        self.fields = _snapshot(model)
        self.params: dict[str, Any] = model._default_params
        self.route = _route(model)
        """None when ChatOpenAI itself must make the calls."""
        self.endpoint = model.endpoint or Endpoint(model.base_url)
        self.plain = not _O_SERIES.match(model.model_name)


class PostedChat(StreamedChat):
    """BaseChatOpenAI whose plain calls are posted over the endpoint's transport."""

    endpoint: Endpoint | None = Field(default=None, exclude=True)
    """The server as this run shares it; None: one of its own with the limits `ALONE`."""
    _static: _Static | None = PrivateAttr(default=None)

    async def ainvoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """One call. LangChain's machinery around it is entered only when somebody listens or caches."""
        messages = _plain_input(input)
        if messages is not None and kwargs.keys() <= SPOKEN and not self._attended(config):
            posted = self._posted(await self._sized(messages), stop, kwargs)
            if posted is not None:
                answer = await _answer(*posted)
                return chat_message(answer, self.model_name, shaped="response_format" in kwargs)
        return await super().ainvoke(input, config, stop=stop, **kwargs)

    async def achoices(
        self, messages: list[BaseMessage], config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[AIMessage]:
        """One call with `n` in its kwargs: a message a choice, each with the whole request's usage."""
        if kwargs.keys() <= SPOKEN and not self._attended(config):
            posted = self._posted(await self._sized(messages), None, kwargs)
            if posted is not None:
                return chat_messages(await _answer(*posted), shaped="response_format" in kwargs)
        config = ensure_config(config)
        named = {name: config.get(name) for name in ("callbacks", "tags", "metadata", "run_name")}
        answered = await self.agenerate([messages], **cast(Any, named), **kwargs)
        return [cast(AIMessage, cast(ChatGeneration, one).message) for one in answered.generations[0]]

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        messages = await self._sized(messages)
        posted = self._posted(messages, stop, kwargs)
        if posted is None:
            return await super()._agenerate(messages, stop, run_manager, **kwargs)
        answer = await _answer(*posted)
        result = chat_result(answer, self.model_name, shaped="response_format" in kwargs)
        await self._tell(result, run_manager)
        return result

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if on_background_loop() or self._posted(messages, stop, kwargs) is None:
            return super()._generate(messages, stop, run_manager, **kwargs)
        return run_blocking(self._agenerate(messages, stop, **kwargs))

    def _attended(self, config: RunnableConfig | None) -> bool:
        """Whether LangChain has something to do around a call: callbacks, a cache, a rate limiter, streaming."""
        if self.cache or self.rate_limiter or self.streaming or self.output_version or get_llm_cache() is not None:
            return True
        if unheard(config) and not self.callbacks:
            return False
        config = ensure_config(config)
        manager = AsyncCallbackManager.configure(config.get("callbacks"), self.callbacks, self.verbose)
        return bool(manager.handlers)

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """What callbacks and traces are told: all but `extra_body`, which may hold secrets."""
        told = super()._get_invocation_params(stop=stop, **kwargs)
        return {name: value for name, value in told.items() if name != "extra_body"}

    @property
    def base_url(self) -> str:
        """The server's URL, without a slash at its end."""
        return str(self.root_async_client.base_url).rstrip("/") if self.root_async_client else ""

    @property
    def terms(self) -> Terms:
        """What the server takes of this model's requests, as far as the run knows."""
        return self._settled().endpoint.terms(self.model_name)

    async def _sized(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """The messages with images as large as the server's settings allow."""
        return await sized(messages, self._settled().endpoint.limits.image_side)

    def _settled(self) -> _Static:
        static = self._static
        if static is None or static.fields != self.__dict__:
            static = self._static = _Static(self)
        return static

    def _posted(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> tuple[Endpoint, Request] | None:
        """Where the call is posted and as what, None when it is not spoken here."""
        static = self._settled()
        if static.route is None or not kwargs.keys() <= SPOKEN:
            return None
        if static.plain and all(map(common, messages)):
            payload = {**static.params, **kwargs, "messages": as_dicts(messages)}
            if stop is not None:
                payload["stop"] = stop
            self._rename(payload)
        else:
            payload = self._get_request_payload(list(messages), stop=stop, **kwargs)
        if not self._speaks(payload):
            return None
        payload.update(payload.pop("extra_body", None) or {})
        for name, off in OFF.items():
            if payload.get(name) == off:
                del payload[name]
        try:
            body = encoded(payload)
        except TypeError:
            return None
        deal = Deal(static.endpoint.terms(self.model_name), payload)
        beyond = surplus([message.content for message in messages])
        return static.endpoint, Request(static.route, body, self.model_name, self.max_retries, deal, beyond)

    def _speaks(self, payload: dict[str, Any]) -> bool:
        shape, tools = payload.get("response_format"), payload.get("tools")
        if payload.get("stream") or not (shape is None or isinstance(shape, dict)):
            return False
        if tools and (shape is not None or not isinstance(tools, list) or self._use_responses_api(payload)):
            return False
        return payload.keys() <= SPOKEN

    def _rename(self, payload: dict[str, Any]) -> None:
        """Names parameters as this class's server knows them."""


class OpenAIChat(PostedChat, ChatOpenAI):
    """OpenAI, configured as ChatOpenAI."""

    max_tokens: int | None = Field(default=None, alias="max_completion_tokens")
    """Tokens to generate at most, ≥ 1."""

    def _rename(self, payload: dict[str, Any]) -> None:
        if "max_tokens" in payload:
            payload["max_completion_tokens"] = payload.pop("max_tokens")


class CompatibleChat(PostedChat):
    """A server of the OpenAI protocol that is not OpenAI: `max_tokens` goes out under that name, which all know."""


def _answer(endpoint: Endpoint, request: Request) -> Awaitable[dict[str, Any]]:
    """The answer, once it is this call's turn."""
    deal = request.deal
    return endpoint.ask(request) if deal is None or deal.agreed else _in_turn(endpoint, request, deal)


async def _in_turn(endpoint: Endpoint, request: Request, deal: Deal) -> dict[str, Any]:
    await deal.turn()
    try:
        return await endpoint.ask(request)
    finally:
        deal.leave()


def takes(model: BaseChatModel, part: str) -> bool:
    """Whether a model may be asked with an optional part (`request_parts.py`): False once it has refused it. What is recorded
    is always asked, so that the same questions are asked at playback."""
    return not isinstance(model, PostedChat) or model.terms.takes(part)


def refuses(model: BaseChatModel, error: ModelError) -> bool:
    """Whether a question is worth asking again without its optional part. A model of ours says so itself; any error of
    another one may mean it."""
    negotiates = isinstance(getattr(model, "inner", model), PostedChat)
    return isinstance(error, PartRefused) or not (negotiates or isinstance(error, AnswerError))


def terms_of(model: BaseChatModel) -> Terms | None:
    """What the model takes, None for one that does not negotiate."""
    inner = getattr(model, "inner", model)
    return inner.terms if isinstance(inner, PostedChat) else None


def _plain_input(given: LanguageModelInput) -> list[BaseMessage] | None:
    """The messages of an input that needs no conversion, else None."""
    if isinstance(given, str):
        return [HumanMessage(given)]
    if isinstance(given, list) and all(isinstance(message, BaseMessage) and common(message) for message in given):
        return given
    return None


def _snapshot(model: BaseChatOpenAI) -> dict[str, Any]:
    """The model's fields as they are; a change within a dict shows too."""
    return {name: dict(value) if type(value) is dict else value for name, value in model.__dict__.items()}


def _route(model: PostedChat) -> Route | None:
    """Where and how the model's requests go, None when only ChatOpenAI can send them."""
    client, key = model.root_async_client, model.openai_api_key
    of_its_own = model.http_client or model.http_async_client or model.http_socket_options or model.default_query
    if client is None or of_its_own or model.openai_proxy or model._uses_gateway or model.include_response_headers:
        return None
    if model.async_client is not client.chat.completions or not isinstance(key, SecretStr):
        return None
    timeout = _timeout(model.request_timeout, (model.endpoint or Endpoint("")).limits.timeout)
    url = URL(model.base_url) / "chat/completions"
    if timeout is None or url.user or url.query_string or model._use_responses_api(model._default_params):
        return None
    proxy = proxy_for(url)
    if proxy and not proxy.startswith(("http://", "https://")):
        return None
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "anyprefer",
        "Authorization": f"Bearer {key.get_secret_value()}",
        **({"OpenAI-Organization": client.organization} if client.organization else {}),
        **({"OpenAI-Project": client.project} if client.project else {}),
        **(model.default_headers or {}),
    }
    secrets = (key.get_secret_value(), *(model.default_headers or {}).values())
    return Route(url, headers, timeout, URL(proxy) if proxy else None, secrets)


def _timeout(given: Any, timeout: float) -> aiohttp.ClientTimeout | None:
    """The server's timeout, or the model's own: seconds, or (connect, read) as httpx takes them; else None."""
    if given is None or isinstance(given, int | float):
        seconds = timeout if given is None else float(given)
        return aiohttp.ClientTimeout(total=seconds, connect=min(CONNECT, seconds))
    if hasattr(given, "connect") and hasattr(given, "read"):
        return aiohttp.ClientTimeout(total=timeout, connect=given.connect, sock_read=given.read)
    return None

"""Medical vision-language models as tools (paper, A.4): MiniGPT-Med, MedVInT, CheXagent, and any other.

None of the three is a class of transformers: their checkpoints run in their authors' code, which pins old libraries. So
each runs in an environment of its own behind a server, and the tool asks the server (docs/vision.md has the steps):

- `url`: a server of the protocol in `served.py`;
- `model`: any model of the framework, `openai:NAME@http://…/v1` behind a chat server, or `hf:…` in this process for one
  that transformers has a class for, such as LLaVA-Med.

They inform the judge and take no side.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache

from langchain_core.language_models import BaseChatModel

from anyprefer.core.errors import ToolError
from anyprefer.core.task import Task
from anyprefer.models import load_model
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import call
from anyprefer.models.messages import user
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.vision.looks import picture_of
from anyprefer.tools.vision.served import served

_LONGEST = 256
"""New tokens of an answer."""


@tool
async def medical_model(task: Task, query: str, *, model: str = "", url: str = "") -> Finding:
    """Asks a medical vision-language model about the picture; the query is the question, by default the task's."""
    return await _asked("medical_model", "The medical model", task, query, model, url)


@tool
async def minigpt_med(task: Task, query: str, *, model: str = "", url: str = "") -> Finding:
    """Asks MiniGPT-Med, a model of radiology images: questions, reports, places of findings."""
    return await _asked("minigpt_med", "MiniGPT-Med", task, query, model, url)


@tool
async def medvint(task: Task, query: str, *, model: str = "", url: str = "") -> Finding:
    """Asks MedVInT (PMC-VQA), which answers questions on medical images of any kind."""
    return await _asked("medvint", "MedVInT", task, query, model, url)


@tool
async def chexagent(task: Task, query: str, *, model: str = "", url: str = "") -> Finding:
    """Asks CheXagent, a model of chest X-rays: views, findings, reports."""
    return await _asked("chexagent", "CheXagent", task, query, model, url)


@medical_model.preparation
@minigpt_med.preparation
@medvint.preparation
@chexagent.preparation
def _check(*, model: str = "", url: str = "") -> None:
    if bool(model) == bool(url):
        raise ToolError(
            "a medical model is asked behind a server: give its option url (http://host:8100) or its option model "
            "(openai:NAME@http://host:8000/v1, or hf:… for one that transformers has a class for); see docs/vision.md"
        )
    if model:
        _chat(model)


async def _asked(tool: str, name: str, task: Task, query: str, model: str, url: str) -> Finding:
    if url:
        return await asyncio.to_thread(served, url, tool, task, query=query)
    answer = await call(
        _chat(model), [user(query, (picture_of(task),))], tool, temperature=0.0, seed=0, max_tokens=_LONGEST
    )
    return Finding(f"{name}: {read_answer(answer).text}")


@lru_cache(maxsize=16)
def _chat(model: str) -> BaseChatModel:
    return load_model(model)

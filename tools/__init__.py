"""Knowledge tools. Every other file in this folder, and in `vision/`, that defines a `@tool` is found by itself."""

from anyprefer.tools.base import Finding, KnowledgeTool, ToolFailure, as_finding, failure_text, tool
from anyprefer.tools.registry import TOOLS, as_knowledge_tool, load_tools
from anyprefer.tools.time_limits import limited

__all__ = [
    "TOOLS",
    "Finding",
    "KnowledgeTool",
    "ToolFailure",
    "as_finding",
    "as_knowledge_tool",
    "failure_text",
    "limited",
    "load_tools",
    "tool",
]

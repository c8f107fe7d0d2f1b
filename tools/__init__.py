"""Knowledge tools. Every other file in this folder that defines a `@tool` is found by itself."""

from anyprefer.tools.base import Finding, KnowledgeTool, tool
from anyprefer.tools.registry import as_knowledge_tool, available_tools, load_tools

__all__ = ["Finding", "KnowledgeTool", "as_knowledge_tool", "available_tools", "load_tools", "tool"]

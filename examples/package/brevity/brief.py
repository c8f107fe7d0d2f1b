"""A form in which any chat model judges, with a prompt of its own: `judge_form = "brief"`."""

from anyprefer.nodes import prompt_texts
from anyprefer.nodes.judges.pointwise import PointwiseJudge


class BriefJudge(PointwiseJudge):
    """Scores each answer alone, by how little it says beside what was asked."""

    prompt = prompt_texts.text("brief", "brevity")

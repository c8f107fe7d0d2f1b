import subprocess
import sys

from anyprefer.graph import Settings
from anyprefer.nodes.textgrad import Rewriter
from tests.scripted import Scripted

LONG = " ".join(f"word{n}" for n in range(200))


async def test_the_engine_sees_the_whole_prompt_its_role_and_the_feedback():
    model = Scripted(textgrad="<IMPROVED_VARIABLE> better </IMPROVED_VARIABLE>")
    assert await Rewriter(model, Settings()).step(LONG, "the {role}", "too {short}") == "better"
    [asked] = model.calls
    assert f"<VARIABLE> {LONG} </VARIABLE>" in asked.user
    assert "<ROLE>the {role}</ROLE>" in asked.user
    assert "<CONTEXT>too {short}</CONTEXT>" in asked.user
    assert "optimization system" in asked.system


def test_importing_it_makes_no_log_folder_and_does_not_load_litellm(tmp_path):
    code = """
import logging, os, sys
from anyprefer.nodes.textgrad import _package
textgrad = _package()
textgrad.logger.info("a prompt")
print("litellm" in sys.modules, "TEXTGRAD_LOG_DIR" in os.environ, os.listdir("."))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False []"
    assert done.stderr == ""

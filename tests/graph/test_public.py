import inspect

import pytest

import anyprefer
from anyprefer.core.settings import Settings
from anyprefer.graph import asynth, build_graph, synth


def test_the_package_gives_the_names_of_graph_and_its_version():
    assert anyprefer.synth is synth
    assert {"synth", "asynth", "build_graph", "Task", "__version__"} <= set(dir(anyprefer))
    assert anyprefer.__version__.count(".") >= 2
    with pytest.raises(AttributeError, match="no attribute 'synthesise'"):
        _ = anyprefer.synthesise


@pytest.mark.parametrize("function", [synth, asynth, build_graph])
def test_signatures_name_every_setting_with_its_default(function):
    parameters = inspect.signature(function).parameters
    assert set(Settings.model_fields) <= parameters.keys()
    assert parameters["threshold"].default == 8.0
    assert parameters["target"].default is None  # an object or a string; the setting's default where neither is given
    assert not any(one.kind is one.VAR_KEYWORD for one in parameters.values())

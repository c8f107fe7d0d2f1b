"""Specifications that a judge might write: what is refused, with which words, in bounded time and without executing any."""

import json
import subprocess
import sys

import pytest

from anyprefer.core.cost_spec import LONGEST, read_spec
from anyprefer.core.errors import InputError

OBJECTS = ("hand", "carrot", "plate")
TERM = {"kind": "path", "measure": "distance", "of": ["hand", "carrot"]}
STAGE = {"name": "reach", "terms": [TERM]}


def spec(**changes):
    return {"stages": [STAGE], **changes}


def stage(**changes):
    return spec(stages=[{**STAGE, **changes}])


def term(**changes):
    return stage(terms=[{**TERM, **changes}])


def raw(text):
    """The same specification with a piece of JSON that `json.dumps` would not write."""
    return json.dumps(term(weight="HERE")).replace('"HERE"', text)


CODE = "__import__('os').system('touch /tmp/owned')"
REFUSED = {
    # code
    "an expression as a number": (term(weight=CODE), "weight is"),
    "an expression as a measure": (term(measure="lambda a, b: abs(a - b)"), "measure is"),
    "an attribute of an object": (term(of=["hand", "carrot.__class__.__mro__"]), "carrot.__class__.__mro__"),
    "code as a keypoint": (term(of=["hand", CODE]), "pattern"),
    "code as a stage's name": (stage(name=CODE), "pattern"),
    "python instead of JSON": ("def cost(t):\n    import os; os.system('id')\n    return 0", "no JSON"),
    "a python dictionary": (str(term()), "no JSON"),
    "a method's name": (term(measure="__class__"), "measure is '__class__'"),
    "a template's placeholder": (term(of=["hand", "{task.system}"]), "pattern"),
    "a reference to a file": ({"$ref": "file:///etc/passwd", **spec()}, "ref is .file"),
    "an unknown field": (term(eval="1 + 1"), "eval"),
    "prototype pollution": ({"__proto__": {"weight": 1}, **spec()}, "__proto__"),
    # numbers
    "a huge number": (raw("1e308"), "less than or equal to 10"),
    "a number beyond floats": (raw("1e999"), "finite"),
    "a number of 5,000 digits": (raw("9" * 5000), "a number of 5000 digits"),
    "NaN": (raw("NaN"), "finite"),
    "infinity": (raw("Infinity"), "finite"),
    "a boolean as a number": (term(weight=True), "weight is 'True'"),
    "a text as a number": (term(weight="1"), "weight is '1'"),
    "a negative weight": (term(weight=-1), "greater than 0"),
    "no weight": (term(weight=0), "greater than 0"),
    "a threshold above its limit": (term(threshold=0.5, limit=0.2), "limit 0.2 must be above threshold 0.5"),
    "an offset out of the room": (spec(points={"goal": {"of": "plate", "offset": [0, 0, 1e6]}}), "offset"),
    "an offset of four numbers": (spec(points={"goal": {"of": "plate", "offset": [0, 0, 0, 0]}}), "offset"),
    "null as a number": (term(weight=None), "weight is"),
    # objects
    "an unknown object": (term(of=["hand", "carot"]), "no object 'carot'; did you mean 'carrot'"),
    "a look-alike in another script": (term(of=["hand", "с" + "arrot"]), "pattern"),
    "a zero-width space": (term(of=["hand", "carrot\u200b"]), "pattern"),
    "an unknown object of an event": (stage(until={"event": "lifted", "of": ["x"]}), "takes no `until`"),
    "a point of nothing": (spec(points={"goal": {"of": "saucer"}}), "no object 'saucer'"),
    "a point of a point": (spec(points={"a": {"of": "b"}, "b": {"of": "a"}}), "no object 'a'"),
    "a point that hides the hand": (spec(points={"hand": {"of": "plate"}}), "hide"),
    "an object twice": (term(of=["hand", "hand"]), "two different keypoints"),
    "one object too few": (term(of=["hand"]), "distance is of 2 keypoints, not 1"),
    "three objects": (term(of=["hand", "carrot", "plate"]), "at most 2"),
    "a list for a name": (term(of=["hand", ["carrot"]]), "string"),
    "a name of 10,000 letters": (term(of=["hand", "a" * 10_000]), "pattern"),
    # stages
    "no stage": (spec(stages=[]), "at least 1"),
    "seven stages": (spec(stages=[STAGE] * 7), "at most 6"),
    "a stage twice": (spec(stages=[{**STAGE, "until": {"event": "lifted", "of": ["carrot"]}}, STAGE]), "different names"),
    "a stage without an end": (spec(stages=[STAGE, {**STAGE, "name": "place"}]), "'reach' needs `until`"),
    "an end of the last stage": (stage(until={"event": "released", "of": ["carrot"]}), "takes no `until`"),
    "an unknown event": (stage(until={"event": "exec", "of": ["carrot"]}), "event is 'exec'"),
    "a stage without terms": (stage(terms=[]), "at least 1"),
    "a thousand terms": (stage(terms=[TERM] * 100), "at most 8"),
    "an unknown kind": (term(kind="reward"), "kind is 'reward'"),
    "an unknown way of summing": (term(over="sum"), "over is 'sum'"),
    "stages as an object": (spec(stages={"reach": STAGE}), "stages"),
    # form
    "deeply nested lists": ("[" * 5000 + "]" * 5000, "nested at most 8 deep, not 5000"),
    "deeply nested objects": ('{"stages":' * 500 + "1" + "}" * 500, "nested at most 8 deep"),
    "a term within a term": (term(of=["hand", {"of": [{"of": [[]]}]}]), "nested at most 8 deep"),
    "10 MB": (json.dumps(spec()) + " " * 10_000_000, f"at most {LONGEST:,} characters"),
    "10 MB in a name": (term(of=["hand", "a" * 10_000_000]), "characters"),
    "a name given twice": ('{"stages": [], "stages": [{"name": "reach", "terms": []}]}', "'stages' is given twice"),
    "nothing": ("", "no JSON"),
    "a list": ([STAGE], "the specification"),
    "a number alone": ("1", "the specification"),
    "two objects": (json.dumps(spec()) + json.dumps(spec()), "no JSON"),
    "cut off": (json.dumps(spec())[:-5], "no JSON"),
    "a comment": (json.dumps(spec()) + "// eval", "no JSON"),
    "half a surrogate pair": (term(of=["hand", "HERE"]), "no JSON|pattern|surrogate|Invalid JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_specification_is_refused_with_the_reason(case):
    given, why = REFUSED[case]
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    with pytest.raises(InputError, match=why) as raised:
        read_spec(text.replace("HERE", r"\ud800"), OBJECTS)
    assert len(str(raised.value)) < 700


def test_a_good_one_is_read_with_its_points():
    wanted = spec(points={"goal": {"of": "plate", "offset": [0, 0, 0.02]}})
    wanted["stages"] = [
        {**STAGE, "until": {"event": "over", "of": ["carrot", "goal"], "within": 0.03}},
        {"name": "place", "terms": [{**TERM, "of": ["carrot", "goal"], "over": "final", "limit": 0.2, "weight": 3}]},
    ]
    found = read_spec(json.dumps(wanted), OBJECTS)
    assert found.objects() == {"hand", "carrot", "plate"}
    assert read_spec(found.model_dump_json(exclude_defaults=True), OBJECTS) == found


def test_no_reader_of_specifications_executes_text():
    program = (
        "import sys, json; from anyprefer.core.cost_spec import read_spec; from anyprefer.core.errors import InputError\n"
        "heard = []; sys.addaudithook(lambda event, args: heard.append(event) if begun else None); begun = False\n"
        "texts = json.load(sys.stdin); begun = True\n"
        "for text in texts:\n"
        "    try: read_spec(text, ['hand', 'carrot', 'plate'])\n"
        "    except InputError: pass\n"
        "begun = False; print(sorted({one for one in heard if one.split('.')[0] in\n"
        "    ('exec', 'compile', 'import', 'open', 'os', 'subprocess', 'socket', 'ctypes')}))"
    )
    texts = [one if isinstance(one, str) else json.dumps(one) for one, _ in REFUSED.values()]
    texts = [text for text in texts if len(text) < 100_000]
    done = subprocess.run([sys.executable, "-c", program], input=json.dumps(texts), capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")

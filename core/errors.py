"""Every error Anyprefer raises, in one place.

A bad task is data, not a crash: errors raised while one task is played end as that task's
`failed` row. Only the errors marked (stops the run) leave `synth`.

```
AnypreferError
├── InputError            a row, file or argument of the user's        (a bad row: failed row)
├── SettingsError         an unknown or out-of-range setting           (stops the run)
├── RunFolderError        folder exists, experiments mixed, disk full  (stops the run)
├── ModelError            a model could not be loaded or reached
│   ├── ModelSetupError   no key, unknown name, missing package        (stops the run)
│   ├── PartRefused       tools that a server does not take: the caller asks in another form
│   └── AnswerError       an answer that cannot be parsed; `.text` is what the model said
├── ToolError             a tool is unknown or badly declared          (stops the run)
├── RunStopped            the run ends early and can be resumed        (stops the run)
│   ├── BudgetSpent       --max-calls, --max-tokens or --max-cost is reached
│   ├── Enough            --accept is reached
│   └── EndpointError     a server refuses every call, or has an outage
└── TrainingError         pairs or settings that cannot be trained on  (stops the run)
```

`RunStopped` leaves the tasks in flight unfinished, with the answers they have kept: no row of theirs is
written, and the same command resumes them.

A tool that raises or hangs while it runs ends no task: it becomes `Knowledge.error`, in a `ToolFailure`'s own words.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AnypreferError(Exception):
    """Base of all errors below. Its message names the input, the row where there is one, and the fix."""


class InputError(AnypreferError):
    """A row, file or argument that cannot be used."""


class SettingsError(AnypreferError):
    """A setting that does not exist, has the wrong type or lies outside its range."""


class RunFolderError(AnypreferError):
    """A run folder that cannot be created, written or continued."""


class ModelError(AnypreferError):
    """A model that failed to answer."""


class ModelSetupError(ModelError):
    """A model that cannot be made from its description: no key, unknown name, missing package."""


class PartRefused(ModelError):
    """An optional part of a request, such as tools, that a server does not take and the caller must do without."""


class AnswerError(ModelError):
    """An answer that does not hold what was asked for. Unparsed is unscored: never 0, never a tie.

    `text` is the answer as the model gave it, `reason` what is wrong with it.
    """

    def __init__(self, message: str, text: str) -> None:
        super().__init__(f"{message}; the model said: {text[:500]!r}")
        self.reason = message
        self.text = text


class ToolError(AnypreferError):
    """A tool that is unknown, declared wrongly or given twice."""


class ToolFailure(Exception):
    """Raise it to say in one plain sentence why there is no finding; other exceptions are named by their type."""


class RunStopped(AnypreferError):
    """A run that ends early, on purpose or because further calls are useless; nothing is lost."""


class BudgetSpent(RunStopped):
    """A limit on calls, tokens or cost is reached."""


class Enough(RunStopped):
    """As many pairs are accepted as were wanted."""


class EndpointError(RunStopped):
    """A server that refuses every call (401, 403, 404) or has not answered for too long."""


class TrainingError(AnypreferError):
    """Pairs or settings that cannot be trained on."""


INTERRUPT = "interrupted, what was in flight is finished; the same command resumes"
"""Why a run ended that was asked to by Ctrl-C."""


def near(name: str, known: Iterable[str]) -> str:
    """The fix of an unknown name, for an error's end: the near one, or all there are."""
    names = sorted(known)
    found = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {found[0]!r}?" if found else f"there are: {', '.join(names) or 'none'}"

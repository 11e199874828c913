"""Hook of Schemathesis: each request is sent with a session of its own, as the operations under test end theirs."""

import os
from itertools import cycle
from pathlib import Path
from typing import Any

import schemathesis

_TOKENS = cycle(Path(os.environ["VISE_FUZZ_TOKENS"]).read_text().split())


@schemathesis.hook
def before_call(_: Any, case: Any, __: Any) -> None:
    case.headers["Authorization"] = f"Bearer {next(_TOKENS)}"

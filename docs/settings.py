"""Write docs/settings.md from the settings classes: ``python -m docs.settings``."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from backend.settings import Settings
from frontend.settings import FrontendSettings
from vise_client.settings import ClientSettings
from vise_core.settings import CoreSettings

PAGE = Path(__file__).with_suffix(".md")
SECTIONS: dict[str, type[BaseSettings]] = {
    "API, dispatcher and workers": Settings,
    "Stages": CoreSettings,
    "Pages": FrontendSettings,
    "Client and command line": ClientSettings,
}
HEAD = """# Settings

Every setting is an environment variable. `vise up` sets the addresses and folders itself. This page is made by
`python -m docs.settings`.
"""


def page() -> str:
    """Return the page in Markdown: a table for each settings class."""
    parts = [HEAD]
    for title, settings in SECTIONS.items():
        parts += [f"## {title}\n", f"{settings.__doc__}\n", "| variable | default | meaning |\n|---|---|---|"]
        for name, field in settings.model_fields.items():
            alias = field.validation_alias
            assert not isinstance(alias, AliasChoices)
            variable = str(alias) if alias else f"VISE_{name.upper()}"
            default = "required" if field.default is PydanticUndefined else _text(field.default)
            parts.append(f"| `{variable}` | {default} | {field.description or ''} |")
        parts.append("")
    return "\n".join(parts)


def _text(value: object) -> str:
    return "" if value is None or value == "" else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page())

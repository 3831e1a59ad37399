"""The HTML templates beside this file. Everything that is filled in is escaped."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sista.errors import printable


def _readable(value: Any) -> Any:
    """Return text without control characters; what a macro gives is a page's text already."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def environment(package: str, folder: str) -> Environment:
    """Return the templates in a folder of a package."""
    return Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        finalize=_readable,
        # A misspelt name is an error, not a gap in the page.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """Return a template filled with `values`."""
    return environment("sista.report", "html").get_template(template).render(**values)

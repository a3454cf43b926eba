"""Elements of SVG files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

#: Colours of text and of less important text.
INK, GREY = "#1f2937", "#5b6472"

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"


def document(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """The text of an SVG file with a white background."""
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-family="{escape(_FONT)}">',
        f"<title>{escaped(title)}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def escaped(text: str) -> str:
    """Text escaped for XML, with U+FFFD in place of characters that XML does not allow."""
    return escape(re.sub("[\x00-\x1f\ud800-\udfff\ufffe\uffff]", "\ufffd", text))


def text_at(
    text: str,
    x: float,
    y: float,
    size: float,
    fill: str,
    anchor: str = "start",
    bold: bool = False,
    spaced: bool = False,
    turned: bool = False,
) -> str:
    """A line of text; ``turned`` by a quarter to read from below."""
    more = ' font-weight="600"' * bold + ' letter-spacing="0.6"' * spaced
    more += f' text-anchor="{anchor}"' if anchor != "start" else ""
    more += f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"{more}>{escaped(text)}</text>'


def rectangle(
    x: float, y: float, width: float, height: float, radius: float, fill: str, edge: str, more: str = ""
) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" '
        f'fill="{fill}" stroke="{edge}"{more}/>'
    )

"""A model as a drawing: its five components, what they hold and how they are joined, as SVG.

``contents`` says what there is to draw, ``layout`` where it stands, ``drawing`` how it looks.
"""

from tp_core.diagram.contents import Contents, contents
from tp_core.diagram.drawing import draw

__all__ = ["Contents", "contents", "draw"]

"""A diagram of a model as SVG: its five components, their modules and the connections between them.

``contents`` collects the components and modules, ``layout`` places them, and ``drawing`` writes the SVG.
"""

from tp_core.diagram.contents import Contents, contents
from tp_core.diagram.drawing import draw

__all__ = ["Contents", "contents", "draw"]

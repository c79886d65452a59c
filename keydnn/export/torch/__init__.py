"""A module graph for PyTorch: a readable ``nn.Module``, and the ``state_dict`` that belongs to it.

:func:`translate` gives both without PyTorch; :func:`pt_bytes` alone needs it.  What becomes of a module says the rule
of its type, in ``RULES`` of the file of its family's stem (``conv.py``, ``pool.py``, ... as in ``keydnn/modules``).

A rule
------
``rule(module, site) -> str`` gives one Python expression, as a person would write it, in which each input stands as
``site.inputs[i]``, as often as wanted: ``f"F.relu({site.inputs[0]})"``.  Whether that input is a variable or a call
that is written in its place is decided later, and brackets are added where precedence wants them; so a rule writes
``f"{x} * 2"`` and never brackets around ``x`` itself.  An input that the expression does not have is not computed for
it.  To give the input itself is to do nothing.

- ``call("F.pad", x, (1, 2), value=0.0)`` (``expressions.py``) writes a call: text is taken as code, other values by
  ``repr``, options that are None are left out; ``unless(1, value)`` is None for the default, ``per_axis`` makes (3, 3)
  a 3.
- ``site.shapes``, ``site.shape``: shapes of the inputs and of the output, None where a size is free.
- ``site.attribute("nn.Linear(5, 3)", weight=array, bias=array)`` makes ``self.dense = nn.Linear(5, 3)`` with these
  tensors in the state_dict, and gives ``"self.dense"``.  All calls of a shared module give the same attribute: what
  depends on the shapes of one call does not belong into it (``site.calls`` has the shapes of all).
- ``site.buffer(array)`` and ``site.parameter(array)`` make a buffer or a parameter, and give ``"self.dense_table"`` or
  so if called ``site.buffer(array, "table")``.  ``site.named_attribute("cell", ...)`` likewise, where a rule
  makes several.
- ``site.define("same_pad")`` puts a function or class of ``written/`` into the file, with what it uses, and gives its
  name.  These are real files of Python, which are read and never imported; they import nothing but torch.
- What PyTorch cannot express is refused by ``raise ExportError("why")``; nodes are named, and collected, by the caller.

Expressions have no effects: they may be left out, and stand wherever their inputs are at hand.
"""

from __future__ import annotations

from keydnn.export.torch.image_layout import IMAGES, channels_first
from keydnn.export.torch.pickled import pt_bytes
from keydnn.export.torch.translation import Translation, translate

__all__ = ["IMAGES", "Translation", "channels_first", "pt_bytes", "translate"]

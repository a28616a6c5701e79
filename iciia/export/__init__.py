"""What runs on a device: one image's step as a file, every state in its signature and owned by the caller.

A step is written anew for export, of the parts that the simulator computes with: one client, one image, a fixed capacity, no shape
and no branch that depends on data. May import every other room of `iciia`; only `sim` imports it.
"""

from iciia.export.backbone import WithBackbone
from iciia.export.choose import step_of
from iciia.export.formats import FORMATS, write
from iciia.export.step import Named, Step

__all__ = ["FORMATS", "Named", "Step", "WithBackbone", "step_of", "write"]

"""Where a classifier looks: class activation maps, overlays, and the pointing game."""

from .activation import class_activation
from .overlays import overlay

__all__ = ["class_activation", "overlay"]

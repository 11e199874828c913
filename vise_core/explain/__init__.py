"""Explanations of classifiers: class activation maps, overlays, the pointing game, insertion and deletion."""

from .activation import class_activation
from .overlays import overlay

__all__ = ["class_activation", "overlay"]

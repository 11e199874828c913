"""Predictions for single images: classes with heat maps from an evaluated model, engagement from a pretrained one."""

from .engagement import Engagement, EngagementPredictor
from .heat import decode_heat, encode_heat, encode_png
from .predictor import Prediction, Predictor

__all__ = [
    "Engagement",
    "EngagementPredictor",
    "Prediction",
    "Predictor",
    "decode_heat",
    "encode_heat",
    "encode_png",
]

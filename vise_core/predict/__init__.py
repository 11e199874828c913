"""An evaluated model, ready to answer for an image; and what a pretrained one expects people to make of it."""

from .engagement import Engagement, EngagementPredictor
from .heat import decode_heat, encode_heat
from .predictor import Prediction, Predictor

__all__ = [
    "Engagement",
    "EngagementPredictor",
    "Prediction",
    "Predictor",
    "decode_heat",
    "encode_heat",
]

"""An evaluated model, ready to answer for an image."""

from .predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]

"""EfficientNet-Lite0: timm's definition without its classifier, with TensorFlow's padding."""

from __future__ import annotations

import timm
from torch import nn


def efficientnet_lite0() -> nn.Module:
    """Build the trunk; ``forward_features`` returns (n, 1280, h/32, w/32)."""
    trunk: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    return trunk

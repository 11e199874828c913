"""The peer of the prediction benchmark, torchvision in one process, and the JPEG that both sides get."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torchvision import transforms

from vise_core.models.classifier import ImageClassifier

SIZE, RESIZE, CROP = (1920, 1440), 256, 224
BATCH = 8


def photograph(seed: int = 0, size: tuple[int, int] = SIZE) -> bytes:
    """Return a JPEG of a camera photo's size, about 1 MB: soft shapes of several scales, and grain."""
    rng = np.random.default_rng(seed)
    width, height = size
    pixels = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64, 256):
        shapes = Image.fromarray(rng.integers(0, 255, (cells * 3 // 4, cells, 3), dtype=np.uint8))
        pixels += np.asarray(shapes.resize(size, Image.Resampling.BICUBIC), np.float32) / math.sqrt(cells)
    pixels *= 235 / pixels.max()
    pixels += rng.normal(0, 7, (height, width, 1)).astype(np.float32)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=91)
    return buffer.getvalue()


def commented(jpeg: bytes, comment: str) -> bytes:
    """Return the same image as other bytes, with a comment after the JPEG's first marker."""
    text = comment.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


class Peer:
    """Decoding, forward pass and CAM with torchvision in this process."""

    def __init__(self, classifier: ImageClassifier) -> None:
        network = torchvision.models.resnet50(num_classes=len(classifier.classes))
        head = {f"fc.{name}": tensor for name, tensor in classifier.head.state_dict().items()}
        network.load_state_dict({**classifier.backbone.trunk.state_dict(), **head})
        network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.maps = torch.nn.Sequential(*list(network.children())[:-2])
        self.head = network.fc
        self.transform = transforms.Compose(
            [
                transforms.Resize(RESIZE),
                transforms.CenterCrop(CROP),
                transforms.ToTensor(),
                transforms.Normalize(classifier.mean, classifier.std),
            ]
        )

    def pixels(self, jpeg: bytes) -> Tensor:
        """Return the transformed image, (3, 224, 224) float32."""
        return self.transform(Image.open(io.BytesIO(jpeg)).convert("RGB"))

    @torch.inference_mode()
    def predict(self, pixels: Sequence[Tensor]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return (n, classes) probabilities and the (n, 224, 224) CAM of the most probable class, in [0, 1]."""
        maps = self.maps(torch.stack(list(pixels)).contiguous(memory_format=torch.channels_last))
        probabilities = self.head(maps.mean((2, 3))).softmax(1)
        weights = self.head.weight[probabilities.argmax(1)]
        cam = torch.einsum("nc,nchw->nhw", weights, maps).clamp_min(0)[:, None]
        cam = torch.nn.functional.interpolate(cam, (CROP, CROP), mode="bilinear", align_corners=False)[:, 0]
        return probabilities.numpy(), (cam / cam.amax((1, 2), keepdim=True).clamp_min(1e-30)).numpy()

    def batched(self, jpegs: Sequence[bytes], pool: ThreadPoolExecutor) -> npt.NDArray[np.float32]:
        """Return (n, classes) probabilities; decodes the next batch while the network computes this one."""
        batches = [jpegs[start : start + BATCH] for start in range(0, len(jpegs), BATCH)]
        ahead: list[list[Future[Tensor]]] = []
        parts = []
        for position in range(len(batches)):
            while len(ahead) < 2 and position + len(ahead) < len(batches):
                following = batches[position + len(ahead)]
                ahead.append([pool.submit(self.pixels, jpeg) for jpeg in following])
            probabilities, _ = self.predict([pixels.result() for pixels in ahead.pop(0)])
            parts.append(probabilities)
        return np.concatenate(parts)

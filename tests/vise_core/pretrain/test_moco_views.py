"""MoCo-v2's views: those of torchvision's own transforms, from a generator that belongs to the sample."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision import transforms as T
from torchvision.transforms import functional as F

from vise_core.formats.posts import ShardIndex
from vise_core.models.transforms import sample_generator
from vise_core.pretrain import moco_views
from vise_core.pretrain.data import PostImages
from vise_core.pretrain.moco_views import augment, jitter, two_views

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def picture(side: int = 96) -> Image.Image:
    """Smooth colours with some texture, brighter to the right."""
    y, x = np.mgrid[0:side, 0:side] / side
    noise = np.random.default_rng(0).normal(0, 12, (side, side, 3))
    pixels = np.stack([60 + 160 * x, 200 - 120 * y, 40 + 90 * (x + y)], axis=2) + noise
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


class Blur:
    """The blur of MoCo-v2's code, on torch's generator."""

    def __call__(self, image: Image.Image) -> Image.Image:
        return image.filter(ImageFilter.GaussianBlur(radius=float(torch.empty(()).uniform_(0.1, 2.0))))


def published(side: int) -> T.Compose:
    """What main_moco.py composes with --aug-plus, before normalisation."""
    return T.Compose(
        [
            T.RandomResizedCrop(side, scale=(0.2, 1.0)),
            T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            T.RandomGrayscale(p=0.2),
            T.RandomApply([Blur()], p=0.5),
            T.RandomHorizontalFlip(),
        ]
    )


def test_each_view_is_torchvisions_for_the_same_random_stream() -> None:
    """torchvision draws from the global stream, in the order that ``augment`` draws in."""
    image, transform, same = picture(), published(48), 0
    for seed in range(300):
        torch.manual_seed(seed)
        expected = np.asarray(transform(image))
        pixels = np.asarray(augment(image, torch.Generator().manual_seed(seed), image_size=48, min_crop=0.2))
        same += np.array_equal(pixels, expected)
    # The crop's area is computed in double precision here and in single there: a border may move by a pixel.
    assert same >= 297


def test_jitter_is_torchvisions() -> None:
    image, transform = picture(), T.ColorJitter(0.4, 0.4, 0.4, 0.1)
    for seed in range(50):
        torch.manual_seed(seed)
        expected = transform(image)
        jittered = jitter(image, torch.Generator().manual_seed(seed))
        assert np.array_equal(np.asarray(jittered), np.asarray(expected))


def test_the_same_sample_in_the_same_epoch_has_the_same_two_views() -> None:
    transform, image = two_views(32, mean=MEAN, std=STD), picture()
    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    views = {at: transform(image, sample_generator(*at)) for at in places}
    torch.rand(3)  # global state plays no part
    again = pickle.loads(pickle.dumps(transform))  # noqa: S301 - what a loader process is sent
    for at, pair in views.items():
        assert pair.shape == (2, 3, 32, 32)
        assert pair.dtype == torch.float32
        assert torch.equal(pair, again(image, sample_generator(*at)))
        assert not torch.equal(pair[0], pair[1])
    assert not any(torch.equal(views[(0, 0, 0)], v) for at, v in views.items() if at != (0, 0, 0))


def test_two_views_are_drawn_one_after_the_other_and_normalised() -> None:
    image, generator = picture(), torch.Generator().manual_seed(5)
    expected = torch.stack(
        [
            F.normalize(F.to_tensor(augment(image, generator, image_size=32, min_crop=0.2)), MEAN, STD)
            for _ in range(2)
        ]
    )
    found = two_views(32, mean=MEAN, std=STD)(image, torch.Generator().manual_seed(5))
    torch.testing.assert_close(found, expected)


def statistics(views: list[Image.Image]) -> dict[str, Tensor]:
    """Sorted over views: mean level, contrast, colourfulness, sharpness, and how far it brightens to the right."""
    pixels = torch.stack([F.to_tensor(view) for view in views])
    grey = pixels.mean(1)
    return {
        name: values.sort().values
        for name, values in {
            "level": grey.mean((1, 2)),
            "contrast": grey.std((1, 2)),
            "colour": pixels.std(1).mean((1, 2)),
            "sharpness": (grey[:, :, 1:] - grey[:, :, :-1]).abs().mean((1, 2)),
            "slope": grey[:, :, 24:].mean((1, 2)) - grey[:, :, :24].mean((1, 2)),
        }.items()
    }


@pytest.mark.slow
def test_views_are_distributed_as_torchvisions_are() -> None:
    """Two-sample Kolmogorov-Smirnov on streams that have nothing to do with each other."""
    image, transform, count = picture(), published(48), 1000
    torch.manual_seed(1)
    theirs = statistics([transform(image) for _ in range(count)])
    ours = statistics(
        [augment(image, sample_generator(2, 0, i), image_size=48, min_crop=0.2) for i in range(count)]
    )
    for name, values in ours.items():
        both = torch.cat([values, theirs[name]])
        shares = [torch.searchsorted(found, both, right=True) / count for found in (values, theirs[name])]
        # The distance that samples of one distribution exceed once in 10,000 times: 2.225 x sqrt(2 / n).
        assert (shares[0] - shares[1]).abs().max() < 2.225 * (2 / count) ** 0.5, name


@pytest.mark.parametrize(("share", "least", "most"), [("GREY_SHARE", 150, 250), ("JITTER_SHARE", 750, 850)])
def test_grey_and_jitter_come_as_often_as_published(monkeypatch, share: str, least: int, most: int) -> None:
    """With everything else off, count the views whose colours changed."""
    shares = {"GREY_SHARE": 0.0, "JITTER_SHARE": 0.0, "BLUR_SHARE": 0.0}
    shares[share] = getattr(moco_views, share)
    for name, value in shares.items():
        monkeypatch.setattr(moco_views, name, value)
    plain = Image.new("RGB", (8, 8), (200, 100, 30))
    views = [augment(plain, sample_generator(0, 0, i), image_size=8, min_crop=0.2) for i in range(1000)]
    changed = sum(view.getpixel((0, 0)) != (200, 100, 30) for view in views)
    assert least < changed < most


def test_a_batch_holds_all_query_views_before_all_key_views(material) -> None:
    posts = ShardIndex.open(material.posts)
    dataset = PostImages(posts, np.arange(44), two_views(32, mean=MEAN, std=STD), seed=3)
    samples = [dataset.locate(sample) for sample in [(0, 5), (0, 9), (1, 5)]]
    images, rows = dataset.reader().__getitems__(samples)
    assert images.shape == (6, 3, 32, 32)
    assert rows.tolist() == [5, 9, 5]
    for i, sample in enumerate(samples):
        pair = dataset.reader().view(sample)
        assert torch.equal(images[i], pair[0])
        assert torch.equal(images[3 + i], pair[1])

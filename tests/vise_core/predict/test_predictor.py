from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import encoded
from vise_core.errors import BadCheckpoint, BadImage, BadInput
from vise_core.explain import class_activation
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier, load_classifier, save_classifier
from vise_core.models.heads import linear_head
from vise_core.models.transforms import eval_transform
from vise_core.predict import Predictor
from vise_core.predict.predictor import preview
from vise_core.specs.models.predict import PredictOptions

CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predictor")
    made = ImageClassifier(
        build_backbone("resnet18", seed=0), linear_head(512, 3, seed=1), CLASSES, image_size=64
    )
    save_classifier(path, made.eval(), {"method": "VisE", "task": "toy", "synthetic": True})
    return path


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return Predictor.load(folder)


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, 120), np.linspace(0, 255, 80))
    return Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8))


def test_probabilities_are_those_of_the_network(predictor: Predictor, folder: Path, scene):
    network = load_classifier(folder)
    transform = eval_transform(64, mean=network.mean, std=network.std, resize=network.resize)
    with torch.no_grad():
        expected = torch.softmax(network(transform(scene)[None])[0], 0)
    answer = predictor.predict(scene)
    assert tuple(answer.probabilities) == CLASSES
    assert list(answer.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-5)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.predicted == answer.target == CLASSES[int(expected.argmax())]
    assert predictor.metadata["synthetic"] is True


def test_the_overlay_has_the_images_proportions_and_tints_only_what_was_seen(predictor: Predictor, scene):
    answer = predictor.predict(scene, PredictOptions(strength=1.0))
    assert answer.overlay.size == (120, 80)
    assert answer.heat.shape == (64, 64)
    changed = (np.asarray(answer.overlay) != np.asarray(scene)).any(-1)
    left, right = round(answer.region.left), round(answer.region.right)
    assert 0 < left < right < 120
    assert not changed[:, :left].any()
    assert not changed[:, right:].any()
    assert changed[10:70, left + 1 : right - 1].mean() > 0.95


def test_a_large_image_gives_a_smaller_overlay(predictor: Predictor):
    answer = predictor.predict(Image.new("RGB", (3000, 1500), "red"))
    assert answer.overlay.size == (1000, 500)


@given(st.tuples(st.integers(1, 400), st.integers(1, 400)), st.integers(8, 100))
def test_a_preview_is_the_mean_of_squares_and_about_as_long_as_asked(size, side: int):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    shown = preview(Image.fromarray(pixels), side)
    assert max(shown.size) <= 1.5 * side + 1
    assert max(shown.size) >= min(max(size), side / 1.5)
    factor = max(1, round(max(size) / side))
    height, width = (length // factor for length in pixels.shape[:2])
    squares = pixels[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    # Pillow's division is of whole numbers.
    assert np.abs(np.asarray(shown)[:height, :width] - squares.mean((1, 3))).max(initial=0) < 1


def test_the_class_and_the_method_can_be_chosen(predictor: Predictor, scene):
    heats = {}
    for name in CLASSES:
        answer = predictor.predict(scene, PredictOptions(target_class=name))
        by_gradient = predictor.predict(scene, PredictOptions(target_class=name, method="gradcam"))
        assert answer.target == name
        np.testing.assert_allclose(answer.heat, by_gradient.heat, atol=1e-4)
        heats[name] = answer.heat
    assert not np.array_equal(heats["blue"], heats["red"])
    with pytest.raises(BadInput, match="has no class 'violet'; use one of blue, green, red"):
        predictor.predict(scene, PredictOptions(target_class="violet"))


def test_a_rotated_photograph_is_answered_upright(predictor: Predictor, scene):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, to be turned a quarter clockwise
    lying = encoded(scene.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    answer, upright = predictor.predict(lying), predictor.predict(encoded(scene, "PNG"))
    assert answer.probabilities == pytest.approx(upright.probabilities, abs=1e-6)
    assert answer.overlay.size == (120, 80)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "1", "RGBA", "I;16"])
def test_other_colour_modes_are_answered(predictor: Predictor, scene, mode: str):
    if mode == "I;16":
        image = Image.fromarray(np.asarray(scene.convert("L")).astype(np.uint16) * 257)
    else:
        image = scene.convert(mode)
    answer = predictor.predict(encoded(image, "TIFF" if mode == "CMYK" else "PNG"))
    assert answer.overlay.mode == "RGB"
    assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_a_batch_answers_as_one_by_one(predictor: Predictor, scene):
    images = [scene, scene.rotate(90, expand=True), scene.convert("L")]
    for one, together in zip(map(predictor.predict, images), predictor.predict_batch(images), strict=True):
        assert one.probabilities == pytest.approx(together.probabilities, abs=1e-5)
        assert one.overlay.size == together.overlay.size


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**31),
            st.integers(40, 120),
            st.integers(40, 120),
            st.sampled_from(["cam", "gradcam", "gradcampp", "eigencam"]),
            st.sampled_from([None, *CLASSES]),
        ),
        min_size=1,
        max_size=6,
    )
)
@pytest.mark.slow
def test_one_pass_for_many_questions_answers_each_as_the_slow_way_does(predictor: Predictor, folder, asked):
    """The slow way: image by image, in the plain memory format, one pass for the probabilities and one for the map."""
    network = load_classifier(folder)
    transform = eval_transform(64, mean=network.mean, std=network.std, resize=network.resize)
    images = [
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
        for seed, width, height, _, _ in asked
    ]
    options = [PredictOptions(method=method, target_class=target) for *_, method, target in asked]
    predictions = predictor.predict_prepared(
        [predictor.prepare(i, o) for i, o in zip(images, options, strict=True)]
    )
    for image, option, prediction in zip(images, options, predictions, strict=True):
        pixels = transform(image)[None]
        with torch.no_grad():
            expected = torch.softmax(network(pixels)[0].double(), 0).numpy()
        np.testing.assert_allclose(list(prediction.probabilities.values()), expected, atol=1e-5)
        target = CLASSES.index(prediction.target)
        assert expected[target] >= expected.max() - 1e-5 or prediction.target == option.target_class
        slow = class_activation(network, pixels, option.method, [target])[0]
        np.testing.assert_allclose(prediction.heat, slow, atol=1e-3)


def test_cam_asks_the_network_once_and_differentiates_nothing(predictor: Predictor, scene, monkeypatch):
    backbone = predictor._classifier.backbone
    passes = []
    once = backbone.forward_features
    monkeypatch.setattr(backbone, "forward_features", lambda x: passes.append(x) or once(x))
    monkeypatch.setattr(torch.autograd, "grad", None)
    predictor.predict_batch([scene] * 3)
    assert [len(batch) for batch in passes] == [3]


def test_an_overlay_is_drawn_when_it_is_looked_at_and_once(predictor: Predictor, scene, monkeypatch):
    drawn = []
    monkeypatch.setattr("vise_core.predict.predictor.overlay", lambda *given: drawn.append(given) or scene)
    answer = predictor.predict(scene)
    assert not drawn
    assert answer.overlay is answer.overlay is scene
    assert len(drawn) == 1


def test_the_weight_of_a_predictor_is_that_of_its_parameters_and_buffers(predictor: Predictor, folder):
    state = load_classifier(folder).state_dict().values()
    whole = sum(t.numel() * t.element_size() for t in state)
    assert Predictor(load_classifier(folder)).nbytes == whole
    # One that was loaded has its batch normalisation in its convolutions.
    assert 0.99 * whole < predictor.nbytes < whole


def test_threads_get_the_answers_of_one(predictor: Predictor, scene):
    options = [PredictOptions(method=m, target_class=c) for m in ("cam", "gradcam") for c in CLASSES] * 2
    alone = [predictor.predict(scene, o).heat for o in options]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda o: predictor.predict(scene, o).heat, options))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_is_no_image_is_refused(predictor: Predictor):
    with pytest.raises(BadImage):
        predictor.predict(b"<svg onload='alert(1)'/>")


def test_a_folder_that_is_no_predictor_is_refused(tmp_path: Path):
    with pytest.raises(BadCheckpoint):
        Predictor.load(tmp_path)

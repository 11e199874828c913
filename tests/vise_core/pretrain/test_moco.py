"""MoCo-v2's loss, queue and key encoder against numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from vise_core.errors import BadInput
from vise_core.models.backbones import Backbone
from vise_core.pretrain.moco import Moco, build_moco, contrast_logits
from vise_core.pretrain.schedule import learning_rate
from vise_core.specs.pretrain import MocoSettings, PretrainSpec
from vise_core.specs.stages import STAGES
from vise_core.training.distributed import Group


class Identity(nn.Module):
    """Images of (2, 1, 1) as their own feature map, times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward_features(self, x: Tensor) -> Tensor:
        return x * self.weight


def plane(queue: int = 6, momentum: float = 0.9, temperature: float = 0.5) -> Moco:
    """A network whose queries and keys are points on the unit circle, in the direction of the image."""
    settings = MocoSettings(queue=queue, momentum=momentum, temperature=temperature, dim=2)
    return Moco(Backbone("resnet18", Identity()), nn.Identity(), settings, seed=0, group=Group())


def images(*points: tuple[float, float]) -> Tensor:
    return torch.tensor(points).view(-1, 2, 1, 1)


def test_infonce_by_hand() -> None:
    query, key = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8]])
    queue = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [0.8, -0.6]])
    # Similarities 0.6 | 0, -1, 0.8.
    assert contrast_logits(query, key, queue, 1.0).tolist() == [pytest.approx([0.6, 0, -1, 0.8])]
    # Divided by 0.2: 3 | 0, -5, 4.
    assert contrast_logits(query, key, queue, 0.2).tolist() == [pytest.approx([3, 0, -5, 4], abs=1e-6)]

    moco = plane(queue=3, temperature=0.2)
    moco.queue.copy_(queue)
    losses = moco(images((5, 0), (3, 4)))  # lengths play no part
    assert losses["contrast"].item() == pytest.approx(
        math.log(math.exp(3) + 1 + math.exp(-5) + math.exp(4)) - 3, rel=1e-5
    )
    assert losses["acc_contrast"].item() == 0  # the third of the queue is nearer than the key


def test_a_higher_temperature_flattens_the_choice() -> None:
    losses = []
    for temperature in (0.05, 0.2, 1e1):
        moco = plane(queue=4, temperature=temperature)
        moco.queue.copy_(torch.tensor([[0.0, 1.0]] * 4))
        losses.append(moco(images((1, 0), (1, 0)))["contrast"].item())
    expected = [math.log(1 + 4 * math.exp(-1 / t)) for t in (0.05, 0.2, 10)]
    assert losses == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_the_mean_is_over_the_batch() -> None:
    moco = plane(queue=2, temperature=1)
    moco.queue.copy_(torch.tensor([[0.0, 1.0], [0.0, -1.0]]))
    # First pair: similarities 1 | 0, 0. Second: -1 | 1, -1.
    losses = moco(images((1, 0), (0, 1), (1, 0), (0, -1)))
    first, second = math.log(1 + 2 / math.e), math.log(math.exp(-1) + math.e + math.exp(-1)) + 1
    assert losses["contrast"].item() == pytest.approx((first + second) / 2, rel=1e-6)
    assert losses["acc_contrast"].item() == 50


def test_the_queue_wraps_around_and_loses_its_oldest_first() -> None:
    moco = plane(queue=4)
    assert torch.allclose(moco.queue.norm(dim=1), torch.ones(4))
    first, second, third = (
        torch.nn.functional.normalize(torch.randn(2, 2, generator=torch.Generator().manual_seed(i)))
        for i in range(3)
    )
    before = moco.queue.clone()
    moco.enqueue(first)
    assert moco.pointer.item() == 2
    assert torch.equal(moco.queue, torch.cat([first, before[2:]]))
    moco.enqueue(second)
    assert moco.pointer.item() == 0
    moco.enqueue(third)
    assert torch.equal(moco.queue, torch.cat([third, second]))
    assert moco.pointer.item() == 2


def test_a_query_is_not_compared_with_its_own_batch() -> None:
    """The queue is read before the batch's keys join it: a new key is a negative from the next batch on."""
    moco = plane(queue=2, temperature=1)
    moco.queue.copy_(torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    pairs = images((1, 0), (-1, 0), (1, 0), (-1, 0))
    assert moco(pairs)["contrast"].item() == pytest.approx(math.log(1 + 2 / math.e), rel=1e-6)
    assert moco.queue.tolist() == [[1, 0], [-1, 0]]
    assert moco(pairs)["contrast"].item() == pytest.approx(math.log(2 + math.exp(-2)), rel=1e-6)


def test_the_key_encoder_follows_by_momentum_and_takes_no_gradient() -> None:
    moco = plane(momentum=0.75)
    weight, key = moco.backbone.trunk.weight, next(moco.key.parameters())
    with torch.no_grad():
        weight.fill_(3.0)
    moco(images((1, 2), (2, 1)))["contrast"].backward()
    assert key.item() == pytest.approx(0.75 * 1 + 0.25 * 3)
    moco(images((1, 2), (2, 1)))["contrast"].backward()
    assert key.item() == pytest.approx(0.75 * 1.5 + 0.25 * 3)
    assert key.grad is None
    assert not key.requires_grad
    assert weight.grad is not None


def test_the_network_is_the_published_one() -> None:
    spec = PretrainSpec(objective="moco-v2", backbone="resnet18", batch=64, moco=MocoSettings(queue=128))
    moco = build_moco(spec, Group())
    assert [tuple(p.shape) for p in moco.head.parameters()] == [(512, 512), (512,), (128, 512), (128,)]
    assert isinstance(moco.head[1], nn.ReLU)
    assert moco.queue.shape == (128, 128)
    learnt = [*moco.backbone.named_parameters(), *moco.head.named_parameters()]
    for (_, query), key in zip(learnt, moco.key.parameters(), strict=True):
        assert torch.equal(query, key)
    again, other = (build_moco(s, Group()).state_dict() for s in (spec, spec.model_copy(update={"seed": 1})))
    first = moco.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["queue"], other["queue"])
    assert not torch.equal(first["head.0.weight"], other["head.0.weight"])


def test_a_batch_that_processes_cannot_share_evenly_is_refused() -> None:
    spec = PretrainSpec(objective="moco-v2", backbone="resnet18", batch=8, moco=MocoSettings(queue=16))
    with pytest.raises(BadInput, match="batch: 8 cannot be shared evenly by 3 processes"):
        build_moco(spec, Group(world=3))


def test_what_the_state_holds_goes_on_exactly() -> None:
    moco = plane()
    moco(images((1, 0), (0, 1)))
    torch.randperm(5, generator=moco.random)
    restored = plane()
    restored.load_state_dict(moco.state_dict())
    assert torch.equal(restored.queue, moco.queue)
    assert restored.pointer.item() == 1
    expected = torch.randperm(9, generator=moco.random)
    assert torch.equal(torch.randperm(9, generator=restored.random), expected)


def test_mixed_precision_ends_before_the_similarities() -> None:
    """Encoders in bfloat16; unit vectors, similarities, loss and queue in float32."""
    spec = PretrainSpec(objective="moco-v2", backbone="resnet18", batch=8, moco=MocoSettings(queue=16))
    views = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    losses = []
    for enabled in (False, True):
        moco = build_moco(spec, Group())
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found = moco(views)
        losses.append(found["contrast"])
        # Rounded to bfloat16 anywhere on the way, lengths would be off by up to 4e-3.
        assert (moco.queue.norm(dim=1) - 1).abs().max() < 1e-6
    assert losses[1].dtype == torch.float32
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=0.02)
    assert losses[0].item() != losses[1].item()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch": 1920}, "65536 is none of 1920"),
        ({"batch": 256, "accumulate": 2}, "accumulate must be 1 for moco-v2"),
        ({"batch": 8, "moco": {"queue": 4}}, "4 is none of 8"),
        ({"batch": 256, "moco": {"temperature": 0}}, "moco.temperature"),
        ({"batch": 256, "moco": {"momentum": 1}}, "moco.momentum"),
    ],
)
def test_settings_that_cannot_be_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PretrainSpec.model_validate({"objective": "moco-v2", **fields})


def test_moco_settings_do_not_concern_vise() -> None:
    assert PretrainSpec(batch=1920, accumulate=2).objective == "vise"
    moco = PretrainSpec(objective="moco-v2", batch=256).moco
    assert (moco.queue, moco.momentum, moco.temperature, moco.dim, moco.min_crop) == (
        65_536,
        0.999,
        0.2,
        128,
        0.2,
    )


def test_the_preset_is_moco_v2_on_the_posts_of_vise() -> None:
    presets = STAGES["pretrain"].presets
    spec = PretrainSpec.model_validate(presets["MoCo-v2 on the same images, ResNet-50"])
    vise = PretrainSpec.model_validate(presets["VisE-1.2M, ResNet-50"])
    for field in ("backbone", "signals", "posts_limit", "seed", "image_size", "momentum", "weight_decay"):
        assert getattr(spec, field) == getattr(vise, field)
    # main_moco.py with --mlp --moco-t 0.2 --aug-plus --cos: rate 0.03 at batch 256, 200 epochs, no warm-up.
    total = 200 * (1_230_000 // 256)
    assert learning_rate(0, total, spec) == pytest.approx(0.03)
    assert learning_rate(total // 2, total, spec) == pytest.approx(0.015)
    assert learning_rate(total - 1, total, spec) == pytest.approx(0.015 * (1 + math.cos(math.pi * 199 / 200)))

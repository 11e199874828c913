"""What does an answer over HTTP cost beside the same network in one process?

    python -m benchmarks.prediction [--requests 40] [--images 96] [--rounds 3] [--clients 16] [--threads N]

A ResNet-50 at 224 px with an untrained head is registered in a fresh stack: PostgreSQL, Valkey, dispatcher, prediction
worker and API on 127.0.0.1, as ``vise up`` starts them. The peer is torchvision in this process: Pillow decodes,
torchvision's transforms, one forward pass, CAM from its last map; channels last, inference mode, as many threads for
the network as the worker has. In its batched form the images are decoded and resized in a thread pool with a thread a
core, while the network answers the batch before. The worker folds batch normalisation into the convolutions, which the
peer does not; what is left of its throughput beside a peer that does so too is a row of its own.
Both get the same JPEG of about 1 MB, each time with another comment in its header, so that no cache may answer.

1. Latency: p50 and p95 of POST /predictions (probabilities and CAM), one client, in turn with the peer.
2. Throughput: 16 clients against the peer's batches, in turn; the median of the rounds.
3. The same image again, which the cache answers.
Exits 1 where p50 is above 1.3 × the peer's, throughput below 0.9 × the peer's, or the two disagree.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import PIL
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torchvision import transforms

from backend.local.up import prediction_threads
from backend.store.database import connect, session_factory
from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact, Model
from backend.store.runs.tables import Run
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier, save_classifier
from vise_core.models.folding import fold_batch_norm
from vise_core.models.heads import linear_head
from vise_core.predict import decode_heat

from .rows import Row, verdict
from .times import Times
from .tracking_pages import running

SLOWER, THROUGHPUT = 1.3, 0.9
CLASSES = ("amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness")
SIZE, RESIZE, CROP = (1920, 1440), 256, 224
BATCH = 8
PREDICTIONS = "/api/v1/predictions"
BOUNDARY = "----vise-benchmark"
GIVE_UP = 300.0


def photograph(seed: int = 0, size: tuple[int, int] = SIZE) -> bytes:
    """A JPEG as heavy as a camera's: soft shapes of many sizes, and grain. About 1 MB at the usual size."""
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
    """The same picture in other bytes: a comment stands after the JPEG's first marker."""
    text = comment.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


class Peer:
    """Decode, forward pass and CAM in this process, as a careful user of torchvision writes them."""

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
        """(3, 224, 224) float32."""
        return self.transform(Image.open(io.BytesIO(jpeg)).convert("RGB"))

    @torch.inference_mode()
    def answer(self, pixels: Sequence[Tensor]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """((n, classes) probabilities, (n, 224, 224) CAM of the most probable class in [0, 1])."""
        maps = self.maps(torch.stack(list(pixels)).contiguous(memory_format=torch.channels_last))
        probabilities = self.head(maps.mean((2, 3))).softmax(1)
        weights = self.head.weight[probabilities.argmax(1)]
        cam = torch.einsum("nc,nchw->nhw", weights, maps).clamp_min(0)[:, None]
        cam = torch.nn.functional.interpolate(cam, (CROP, CROP), mode="bilinear", align_corners=False)[:, 0]
        return probabilities.numpy(), (cam / cam.amax((1, 2), keepdim=True).clamp_min(1e-30)).numpy()

    def batched(self, jpegs: Sequence[bytes], pool: ThreadPoolExecutor) -> npt.NDArray[np.float32]:
        """(n, classes) probabilities; the next batch is decoded while this one is answered."""
        batches = [jpegs[start : start + BATCH] for start in range(0, len(jpegs), BATCH)]
        ahead: list[list[Future[Tensor]]] = []
        found = []
        for position in range(len(batches)):
            while len(ahead) < 2 and position + len(ahead) < len(batches):
                following = batches[position + len(ahead)]
                ahead.append([pool.submit(self.pixels, jpeg) for jpeg in following])
            probabilities, _ = self.answer([pixels.result() for pixels in ahead.pop(0)])
            found.append(probabilities)
        return np.concatenate(found)


@dataclass(frozen=True)
class Stack:
    """Where the API is, and who asks."""

    url: str
    token: str

    def client(self) -> Client:
        return Client(self)


class Client:
    """One connection that is kept. Thin, as it shares the cores with what is measured."""

    def __init__(self, stack: Stack) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(stack.url).netloc, timeout=GIVE_UP)
        self._used = time.monotonic()
        self._headers = {
            "Authorization": f"Bearer {stack.token}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }

    def post(self, body: bytes) -> bytes:
        """The answer's JSON. Raises RuntimeError for any other."""
        status, found = self._post(body)
        if status != 200:
            raise RuntimeError(f"{status}: {found[:500]!r}")
        return found

    def wake(self, body: bytes) -> None:
        """Ask until the worker, which loads torch and the model first, has answered."""
        until = time.monotonic() + GIVE_UP
        while self._post(body)[0] == 202:
            if time.monotonic() > until:
                raise RuntimeError(f"no answer in {GIVE_UP:g} s")

    def _post(self, body: bytes) -> tuple[int, bytes]:
        if time.monotonic() - self._used > 2:
            self._connection.close()  # the server hangs up on who was silent for 5 s
        self._connection.request("POST", PREDICTIONS, body, self._headers)
        response = self._connection.getresponse()
        found = response.status, response.read()
        self._used = time.monotonic()
        return found


def form(jpeg: bytes, **fields: str) -> bytes:
    """The body of a question: made before the clock runs."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="x.jpg"\r\n\r\n'
    return "".join([*parts, head]).encode() + jpeg + f"\r\n--{BOUNDARY}--\r\n".encode()


@contextmanager
def serving(folder: Path, classifier: ImageClassifier, threads: int) -> Iterator[Stack]:
    """The stack with this model as its default."""
    with running(folder, pages=False) as servers:
        storage = Storage(servers["storage"])
        save_classifier(folder / "predictor", classifier, {"synthetic": True})
        engine = connect(servers["database"])
        register(engine, storage, folder / "predictor")
        engine.dispose()
        environment = os.environ | {
            "VISE_DATABASE_URL": servers["database"],
            "VISE_BROKER_URL": servers["broker"],
            "VISE_STORAGE_URL": servers["storage"],
            "VISE_HOME": str(folder),
            "OMP_NUM_THREADS": str(threads),
        }
        commands = (["dispatch"], ["run", "--queues", "predict"])
        with (folder / "workers.log").open("wb") as log:
            processes = [
                subprocess.Popen(
                    [sys.executable, "-m", "worker", *command], env=environment, stdout=log, stderr=log
                )
                for command in commands
            ]
        try:
            yield Stack(servers["api"], servers["token"])
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


def register(engine: object, storage: Storage, predictor: Path) -> None:
    """The rows of an evaluation that wrote this predictor, and of the model made of it."""
    manifest, sha256 = artifacts.upload(storage, predictor)
    size = sum(row["size"] for row in manifest)
    with session_factory(engine).begin() as db:  # type: ignore[arg-type]
        run = Run(kind="stage", stage="evaluate", name="benchmark", state="succeeded", queue="cpu", spec={})
        db.add(run)
        db.flush()
        artifact = Artifact(
            run_id=run.id,
            name="predictor",
            sha256=sha256,
            size=size,
            files=len(manifest),
            folder=True,
            manifest=manifest,
        )
        db.add(artifact)
        db.flush()
        db.add(
            Model(
                name="benchmark",
                run_id=run.id,
                artifact_id=artifact.id,
                method="Random Init",
                task="none",
                backbone="resnet50",
                classes=list(CLASSES),
                headline={},
                synthetic=True,
                default=True,
            )
        )


def disagreement(peer: Peer, client: Client, jpeg: bytes) -> tuple[float, float]:
    """The largest difference of a probability, and of the map."""
    (probabilities,), (cam,) = peer.answer([peer.pixels(jpeg)])
    answer = json.loads(client.post(form(jpeg)))
    theirs = np.array([answer["probabilities"][name] for name in CLASSES])
    heat = decode_heat(base64.b64decode(answer["heat_png"]))
    return float(np.abs(theirs - probabilities).max()), float(np.abs(heat - cam).max())


def clocked(call: Callable[[], object]) -> float:
    """Milliseconds."""
    clock = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - clock)


def latencies(peer: Peer, client: Client, jpegs: Sequence[bytes], **fields: str) -> tuple[Times, Times]:
    """(ours, the peer's) of each image in turn."""
    ours, theirs = [], []
    for jpeg in jpegs:
        body = form(jpeg, **fields)
        ours.append(clocked(lambda body=body: client.post(body)))  # type: ignore[misc]
        theirs.append(clocked(lambda jpeg=jpeg: peer.answer([peer.pixels(jpeg)])))  # type: ignore[misc]
    return Times.of(ours), Times.of(theirs)


def throughput(clients: Sequence[Client], bodies: Sequence[bytes]) -> float:
    """Images a second of clients that each ask again as soon as they are answered."""
    waiting = iter(bodies)
    guard = threading.Lock()

    def ask(client: Client) -> None:
        while True:
            with guard:
                body = next(waiting, None)
            if body is None:
                return
            client.post(body)

    with ThreadPoolExecutor(len(clients)) as pool:
        took = clocked(lambda: list(pool.map(ask, clients)))
    return 1000 * len(bodies) / took


def main() -> int:
    return verdict(measure(parser().parse_args()))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=40, help="Of one client, for latencies.")
    parser.add_argument("--images", type=int, default=96, help="In each round of the throughput.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument(
        "--threads",
        type=int,
        default=prediction_threads(),
        help="Of the network, on both sides; as `vise up` gives the prediction worker.",
    )
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print each figure as it is found."""
    torch.set_num_threads(options.threads)
    cores = os.cpu_count() or 1
    jpeg = photograph()
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}, Pillow "
        f"{PIL.__version__}; {cores} cores, load {os.getloadavg()[0]:.1f}; JPEG of {len(jpeg):,} bytes, "
        f"{SIZE[0]} x {SIZE[1]}; ResNet-50 at {CROP} px, float32, {options.threads} threads on both sides\n",
        flush=True,
    )
    backbone = build_backbone("resnet50", seed=0)
    head = linear_head(backbone.feature_dim, len(CLASSES), seed=0)
    classifier = ImageClassifier(backbone, head, CLASSES).eval()
    peer, folded = Peer(classifier), Peer(classifier)
    fold_batch_norm(folded.maps)
    number = iter(range(10**9))

    def fresh(count: int) -> list[bytes]:
        return [commented(jpeg, f"benchmark {next(number)}") for _ in range(count)]

    # Not below another account's private folder: as root, PostgreSQL runs as one of its own.
    with (
        tempfile.TemporaryDirectory(prefix="vise-bench-", ignore_cleanup_errors=True) as temporary,
        serving(Path(temporary), classifier, options.threads) as stack,
        ThreadPoolExecutor(cores) as decoders,
    ):
        client = stack.client()
        client.wake(form(fresh(1)[0]))
        apart = disagreement(peer, client, fresh(1)[0])
        print(
            f"answers differ by {apart[0]:.1e} (probabilities), {apart[1]:.1e} (CAM, in 8 bits)", flush=True
        )
        agree = Row(
            "prediction: same answers", f"{max(apart):.1e}", needed="< 1/255", reached=max(apart) < 1 / 255
        )
        latencies(peer, client, fresh(3), overlay="false", wait="30")
        ours, theirs = latencies(peer, client, fresh(options.requests), overlay="false", wait="30")
        rows = [agree, _latency(ours, theirs)]
        drawn, _ = latencies(peer, client, fresh(max(3, options.requests // 4)))
        rows.append(Row("the same with an overlay drawn", str(drawn)))
        again = form(fresh(1)[0], overlay="false", wait="30")
        client.post(again)
        repeats = Times.of(clocked(lambda: client.post(again)) for _ in range(options.requests))
        rows.append(Row("the same image again, from the cache", str(repeats)))
        for row in rows[1:]:
            print(f"{row.name}: {row.ours}; in one process {row.peer or '–'} {row.ratio}", flush=True)
        clients = [stack.client() for _ in range(options.clients)]
        throughput(clients, [form(one, overlay="false", wait="30") for one in fresh(options.clients)])
        rates = []
        for _ in range(options.rounds):
            bodies = [form(one, overlay="false", wait="30") for one in fresh(options.images)]
            served = throughput(clients, bodies)
            bare, fast = (batched(one, fresh(options.images), decoders) for one in (peer, folded))
            rates.append((served, bare, fast))
            print(
                f"{options.clients} clients {served:.2f} images/s, in one process {bare:.2f} images/s, "
                f"with batch normalisation folded {fast:.2f} images/s",
                flush=True,
            )
    return rows + _throughputs(rates, options.clients)


def batched(peer: Peer, jpegs: Sequence[bytes], decoders: ThreadPoolExecutor) -> float:
    """Images a second."""
    return 1000 * len(jpegs) / clocked(lambda: peer.batched(jpegs, decoders))


def _latency(ours: Times, theirs: Times) -> Row:
    ratio = ours.p50 / theirs.p50
    return Row(
        "POST /predictions, probabilities and CAM",
        str(ours),
        f"one process, {theirs}",
        f"{ratio:.2f} ×",
        f"≤ {SLOWER:g} ×",
        ratio <= SLOWER,
    )


def _throughputs(rates: Sequence[tuple[float, float, float]], clients: int) -> list[Row]:
    ratio = statistics.median(served / bare for served, bare, _ in rates)
    beside = statistics.median(served / fast for served, _, fast in rates)
    served, bare, fast = (statistics.median(side) for side in zip(*rates, strict=True))
    return [
        Row(
            f"{clients} clients",
            f"{served:.2f} images/s",
            f"one process, batches of {BATCH}, {bare:.2f} images/s",
            f"{ratio:.2f} ×",
            f"≥ {THROUGHPUT:g} ×",
            ratio >= THROUGHPUT,
        ),
        Row(
            f"{clients} clients, beside a folded network",
            f"{served:.2f} images/s",
            f"the same with batch normalisation folded, {fast:.2f} images/s",
            f"{beside:.2f} ×",
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())

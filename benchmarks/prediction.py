"""Latency and throughput of predictions over HTTP, beside the same network in one process.

    python -m benchmarks.prediction [--requests 40] [--images 96] [--rounds 3] [--clients 16] [--threads N]

A ResNet-50 at 224 px with an untrained head is registered in a fresh stack: PostgreSQL, Valkey, dispatcher, prediction
worker and API on 127.0.0.1, as ``vise up`` starts them. The peer is torchvision in this process: Pillow decodes,
torchvision's transforms, one forward pass, CAM from its last map; channels last, inference mode, as many threads for
the network as the worker has. In its batched form the images are decoded and resized in a thread pool with a thread a
core, while the network computes the previous batch. The worker folds batch normalisation into the convolutions, which
the peer does not; a further row compares with a peer that folds too. Both get the same JPEG of about 1 MB, each time
with another comment in its header, so that no request is answered from the prediction cache.

1. Latency: p50 and p95 of POST /predictions (probabilities and CAM), one client, alternating with the peer.
2. Throughput: 16 clients and the peer's batches, alternating; the median of the rounds.
3. Identical requests, which the prediction cache answers.
Exits with 1 where p50 is above 1.3 × the peer's, throughput below 0.9 × the peer's, or the two disagree.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision

from backend.local.up import prediction_threads
from vise_core.models.backbones import build_backbone
from vise_core.models.classifier import ImageClassifier
from vise_core.models.folding import fold_batch_norm
from vise_core.models.heads import linear_head
from vise_core.predict import decode_heat

from .measures.rows import Row, parser_of, verdict
from .measures.times import Times, clocked
from .prediction_peer import BATCH, CROP, SIZE, Peer, commented, photograph
from .stack.predictions import Client, form, serving

CLASSES = ("amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness")
SLOWER, THROUGHPUT = 1.3, 0.9


def disagreement(peer: Peer, client: Client, jpeg: bytes) -> tuple[float, float]:
    """Return the largest difference of a probability and of the class activation map."""
    (probabilities,), (cam,) = peer.predict([peer.pixels(jpeg)])
    prediction = json.loads(client.post(form(jpeg)))
    theirs = np.array([prediction["probabilities"][name] for name in CLASSES])
    heat = decode_heat(base64.b64decode(prediction["heat_png"]))
    return float(np.abs(theirs - probabilities).max()), float(np.abs(heat - cam).max())


def latencies(peer: Peer, client: Client, jpegs: Sequence[bytes], **fields: str) -> tuple[Times, Times]:
    """Return our latencies and the peer's, alternating by image."""
    ours, theirs = [], []
    for jpeg in jpegs:
        body = form(jpeg, **fields)
        ours.append(clocked(lambda body=body: client.post(body)))  # type: ignore[misc]
        theirs.append(clocked(lambda jpeg=jpeg: peer.predict([peer.pixels(jpeg)])))  # type: ignore[misc]
    return Times.of(ours), Times.of(theirs)


def throughput(clients: Sequence[Client], bodies: Sequence[bytes]) -> float:
    """Return the images/s of clients that send the next request after each response."""
    waiting = iter(bodies)
    guard = threading.Lock()

    def send_all(client: Client) -> None:
        while True:
            with guard:
                body = next(waiting, None)
            if body is None:
                return
            client.post(body)

    with ThreadPoolExecutor(len(clients)) as pool:
        took = clocked(lambda: list(pool.map(send_all, clients)))
    return 1000 * len(bodies) / took


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, rounds=3, clients=16)
    parser.add_argument("--requests", type=int, default=40, help="Requests of one client, for latencies.")
    parser.add_argument("--images", type=int, default=96, help="Images in each round of the throughput.")
    parser.add_argument(
        "--threads",
        type=int,
        default=prediction_threads(),
        help="Threads of the network on both sides. Without: those of the prediction worker of `vise up`.",
    )
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print each figure once measured; return all rows."""
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

    # Run as root, PostgreSQL has its own account, which must be able to reach the folder.
    with (
        tempfile.TemporaryDirectory(prefix="vise-bench-", ignore_cleanup_errors=True) as temporary,
        serving(Path(temporary), classifier, options.threads) as stack,
        ThreadPoolExecutor(cores) as decoders,
    ):
        client = stack.client()
        client.wake(form(fresh(1)[0]))
        apart = disagreement(peer, client, fresh(1)[0])
        print(
            f"predictions differ by {apart[0]:.1e} (probabilities), {apart[1]:.1e} (CAM, in 8 bits)",
            flush=True,
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
        throughput(clients, [form(image, overlay="false", wait="30") for image in fresh(options.clients)])
        rates = []
        for _ in range(options.rounds):
            bodies = [form(image, overlay="false", wait="30") for image in fresh(options.images)]
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
    """Return the peer's images/s in batches."""
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
    sys.exit(verdict(measure(parser().parse_args())))

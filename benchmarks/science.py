"""Linear accuracy over five splits on the (synthetic) sample data of (a) Random Init, (b) VisE, and
(c) VisE on shuffled engagement: labels permuted over posts.

    python -m benchmarks.science [--posts 6000] [--epochs 8] [--seed 0] [--out FOLDER]

Runs the product's own stages in one process: ingest → cluster → label → pretrain → evaluate.
Prints the table as Markdown; exits with 1 where (b) is not 15 points above (a) and 10 above (c).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from vise_core.reporter import LocalReporter
from vise_core.specs.base import Result
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.recipes.registry import RECIPES
from vise_core.specs.stages import validate_spec
from vise_core.stage import run_stage

from .measures.rows import Row, parser_of, verdict

STEPS = RECIPES["sample"].steps
MARGIN_OVER_RANDOM = 15.0
MARGIN_OVER_SHUFFLED = 10.0


class Chain:
    """Steps of the sample recipe with changed specs, each in a folder of its own."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed

    def run(
        self, name: str, step: str, inputs: dict[str, Path], **changes: object
    ) -> tuple[Result, LocalReporter]:
        """Run a step of the recipe as ``name``; ``changes`` replace top-level fields of its spec."""
        stage = STEPS[step].stage
        spec = validate_spec(stage, STEPS[step].spec | {"seed": self.seed} | changes)
        reporter = LocalReporter(self.folder / name / "artifacts")
        clock = time.perf_counter()
        result = run_stage(stage, spec, inputs, self.folder / name / "work", reporter)
        print(f"{name}: {time.perf_counter() - clock:.0f} s {result.headline()}", file=sys.stderr, flush=True)
        return result, reporter


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, posts=6000, evaluation_images=600, epochs=8, seed=0)
    parser.add_argument("--out", type=Path, help="Keep all artifacts here.")
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Run the chains, print the table and return its rows."""
    with tempfile.TemporaryDirectory() as temporary:
        chain = Chain(options.out or Path(temporary), options.seed)
        source = {"kind": "sample", "posts": options.posts, "evaluation_images": options.evaluation_images}
        _, ingest = chain.run("posts", "posts", {}, source=source)
        posts, images = ingest.artifacts["posts"], ingest.artifacts["evaluation_set"]
        _, cluster = chain.run("cluster", "cluster", {"posts": posts})
        rows: list[EvaluateResult] = []
        random, _ = chain.run("random", "random", {"dataset": images})
        rows.append(random)  # type: ignore[arg-type]
        for name, shuffled in (("VisE", False), ("VisE, shuffled engagement", True)):
            key = "shuffled" if shuffled else "vise"
            _, label = chain.run(
                f"label-{key}",
                "label",
                {"posts": posts, "clusterer": cluster.artifacts["clusterer"]},
                shuffle_engagement=shuffled,
            )
            _, pretrain = chain.run(
                f"pretrain-{key}",
                "pretrain",
                {"posts": posts, "labels": label.artifacts["labels"]},
                epochs=options.epochs,
            )
            result, _ = chain.run(
                f"evaluate-{key}",
                "vise",
                {"dataset": images, "checkpoint": pretrain.artifacts["checkpoint"]},
                method=name,
            )
            rows.append(result)  # type: ignore[arg-type]
    return report(rows, options)


def report(rows: list[EvaluateResult], options: argparse.Namespace) -> list[Row]:
    """Print the table; return a row for each margin."""
    random, vise, shuffled = (row.test_mean or 0.0 for row in rows)
    print(
        f"Linear accuracy on synthetic sample data, {options.posts} posts, {options.epochs} epochs, "
        f"seed {options.seed}; mean ± sample std over {len(rows[0].splits)} splits, features {rows[0].features}.\n"
    )
    print("| method | test accuracy, % | val accuracy, % |\n|---|---|---|")
    for row in rows:
        print(
            f"| {row.method} | {row.test_mean:.2f} ± {row.test_std:.2f} | {row.val_mean:.2f} ± {row.val_std:.2f} |"
        )
    print(f"\nVisE − Random Init: {vise - random:+.2f} points (must be ≥ {MARGIN_OVER_RANDOM:g})")
    print(f"VisE − shuffled engagement: {vise - shuffled:+.2f} points (must be ≥ {MARGIN_OVER_SHUFFLED:g})")
    return [
        Row(
            f"VisE against {name}",
            f"{vise:.2f} %",
            f"{other:.2f} %",
            f"{vise - other:+.2f} points",
            f"≥ {margin:g} points",
            vise - other >= margin,
        )
        for name, other, margin in (
            ("Random Init", random, MARGIN_OVER_RANDOM),
            ("shuffled engagement", shuffled, MARGIN_OVER_SHUFFLED),
        )
    ]


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))

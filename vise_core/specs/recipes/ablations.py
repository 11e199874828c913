"""The paper's ablations as recipes: at the paper's scale on data that is given, or tiny on synthetic data.

Each changes one thing and keeps the rest (Sec. 5, App. B). Row names are those of the paper's tables, so that what
they measure finds its place there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..evaluation.presets import MULTIMODAL, evaluation
from ..evaluation.setups import SETUPS, Setup
from ..qualitative import COMPARED
from ..tasks.catalogue import TASKS
from .recipe import RecipeSpec

Ref = dict[str, str]

MAIN_TASKS = ("unbiased_emotion", "politics", "hateful_memes")
"""The tasks of Figs. 3-5."""

SIZES = {"VisE-123k": 123_000, "VisE-308k": 308_000, "VisE-615k": 615_000, "VisE-1.2M": 1_230_000}
"""Fig. 4: nested subsets of the same posts."""

SAMPLE_SIZES = {"VisE-123k": 100, "VisE-308k": 250, "VisE-615k": 500, "VisE-1.2M": 1000}
"""The same names with as many posts as a laptop trains on: what they stand for is in the run's spec."""

CLUSTERS = (500, 1000, 5000, 10_000)
SAMPLE_CLUSTERS = (8, 16, 32, 64)

SAMPLE_PRETRAINING: dict[str, Any] = {
    "backbone": "resnet18", "epochs": 2, "batch": 64, "image_size": 48, "min_crop": 0.35, "posts_limit": 1000,
}  # fmt: skip
SAMPLE_EVALUATION: dict[str, Any] = {
    "image_size": 48, "epochs": 3, "milestones": [2], "batch": 32,
    "base_lrs": [0.025, 0.0025], "weight_decays": [0.001, 0.0001], "splits": {"count": 2, "stratify": False},
}  # fmt: skip


@dataclass
class Chain:
    """A recipe under construction. ``sample``: a tiny one on synthetic data, without inputs."""

    sample: bool
    steps: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.sample:
            source = {"kind": "sample", "posts": 1500, "evaluation_images": 60}
            self.add("posts", "ingest", "Generate sample posts", {"source": source})
            self.add("tasks", "sample_tasks", "Generate sample tasks", {"images": 210})
        else:
            self.given["posts"] = {"help": "Shards made by ingest.", "artifact": "posts"}

    def add(self, name: str, stage: str, title: str, spec: dict[str, Any], **inputs: Ref) -> None:
        """Add a step; return the reference to its artifact."""
        self.steps[name] = {"stage": stage, "title": title, "spec": spec, "inputs": inputs}

    @property
    def posts(self) -> Ref:
        """Reference to the posts."""
        return {"step": "posts", "artifact": "posts"} if self.sample else {"given": "posts"}

    def dataset(self, kind: str) -> Ref:
        """Return the reference to the data set of a task, which is an optional input of the recipe."""
        if self.sample:
            return {"step": "tasks", "artifact": kind}
        task = TASKS[kind]
        self.given[kind] = {
            "help": f"{task.title}: {task.layout}.",
            "artifact": "evaluation_set",
            "required": False,
        }
        return {"given": kind}

    def label(
        self, suffix: str = "", *, k: int | None = None, extractor: str | None = None, **changes: Any
    ) -> Ref:
        """Add the steps that cluster and label; return the reference to the labels."""
        spec: dict[str, Any] = (
            {"comments": {"kmeans": {"k": 64}}, "reactions": {"kmeans": {"k": 16}}} if self.sample else {}
        )
        if self.sample:
            spec["subset"] = {"cluster_fraction": 0.2}
        if k is not None:
            spec["comments"] = {"kmeans": {"k": k}}
        if extractor is not None:
            spec.setdefault("comments", {})["extractor"] = {"kind": extractor}
        self.add(f"cluster{suffix}", "cluster", f"Cluster engagement{suffix}", spec, posts=self.posts)
        clusterer = {"step": f"cluster{suffix}", "artifact": "clusterer"}
        self.add(
            f"label{suffix}",
            "label",
            f"Create pseudo-labels{suffix}",
            changes,
            posts=self.posts,
            clusterer=clusterer,
        )
        return {"step": f"label{suffix}", "artifact": "labels"}

    def pretrain(self, method: str, labels: Ref, **changes: Any) -> Ref:
        """Add a step that pretrains; return the reference to the checkpoint."""
        base = SAMPLE_PRETRAINING if self.sample else {"posts_limit": 1_230_000}
        name = f"pretrain {method}"
        self.add(name, "pretrain", f"Pretrain {method}", base | changes, posts=self.posts, labels=labels)
        return {"step": name, "artifact": "checkpoint"}

    def evaluate(
        self,
        method: str,
        kind: str,
        protocol: str,
        *,
        backbone: str | None = None,
        checkpoint: Ref | None = None,
        weights: dict[str, Any] | None = None,
        setup: Setup | None = None,
        **changes: Any,
    ) -> None:
        """Add a step that evaluates a checkpoint, or published weights, on a task of the paper.

        Memes are evaluated as in Sec. 4 unless ``setup`` is given: the image together with frozen texts.
        """
        text = TASKS[kind].text
        setup = setup or (MULTIMODAL[0][0] if text else "image")
        network = backbone or ("resnet18" if self.sample else "resnet50")
        known = TASKS[kind].schedule.batch
        spec = evaluation(kind, protocol, network if network in known else next(iter(known)), setup)
        spec |= SAMPLE_EVALUATION | {"augment": protocol != "linear"} if self.sample else {}
        spec |= {"method": method, "weights": weights or {"kind": "pretrained"}, **changes}
        inputs = {"dataset": self.dataset(kind)}
        if checkpoint is not None:
            inputs["checkpoint"] = checkpoint
        if setup != "image" and not self.sample:  # a sample takes the packaged encoder
            inputs["text_encoder"] = self.text_encoder()
        which = f", {SETUPS[setup]}" if text else ""
        judged = method if setup == "text" else f"{method} ({network})"
        title = f"{judged} on {TASKS[kind].title}{which}, {protocol}"
        self.add(title, "evaluate", title, spec, **inputs)

    def text_encoder(self) -> Ref:
        """Add the optional input of a text encoder; return the reference to it."""
        self.given["text_encoder"] = {
            "help": "Folder of RoBERTa-base, or of another sentence encoder as transformers saves it, for the memes' "
            "texts.",
            "artifact": "text_encoder",
            "required": False,
        }
        return {"given": "text_encoder"}

    def compare(self, kind: str, protocol: str, methods: Sequence[str]) -> None:
        """Add a step that compares the predictions of each method on the same held-out images (Figs. 7, 8)."""
        network = "resnet18" if self.sample else "resnet50"
        title = TASKS[kind].title
        steps = [f"{method} ({network}) on {title}, {protocol}" for method in methods]
        predictors = {
            role: {"step": step, "artifact": "predictor"} for role, step in zip(COMPARED, steps, strict=False)
        }
        name = f"Compare predictions on {title}"
        self.add(
            name, "qualitative", name, {"task": {"kind": kind}}, dataset=self.dataset(kind), **predictors
        )

    def references(self, kind: str, protocol: str, backbone: str | None = None, **changes: Any) -> None:
        """Add the evaluations of Random Init and IN-Sup, with which VisE is compared throughout the paper."""
        network = backbone or ("resnet18" if self.sample else "resnet50")
        random = {"kind": "random", "backbone": network}
        self.evaluate("Random Init", kind, protocol, backbone=network, weights=random, **changes)
        if not self.sample:  # its weights would have to be downloaded
            named = {"kind": "catalogue", "name": "in-sup", "backbone": network}
            self.evaluate("IN-Sup", kind, protocol, backbone=network, weights=named, **changes)

    def recipe(self, title: str, description: str) -> RecipeSpec:
        """Return the finished recipe."""
        synthetic = " On synthetic data, tiny: a demonstration, not a result." if self.sample else ""
        return RecipeSpec.model_validate(
            {
                "title": f"{title} (sample)" if self.sample else title,
                "description": description + synthetic,
                "synthetic": self.sample,
                "given": self.given,
                "steps": self.steps,
            }
        )


def data_size(sample: bool) -> RecipeSpec:
    """Return the recipe of Fig. 4: amounts of engagement data."""
    chain = Chain(sample)
    labels = chain.label()
    for method, posts in (SAMPLE_SIZES if sample else SIZES).items():
        checkpoint = chain.pretrain(method, labels, posts_limit=posts)
        for kind in MAIN_TASKS:
            chain.evaluate(method, kind, "fine-tuned", checkpoint=checkpoint)
    for kind in MAIN_TASKS:
        chain.references(kind, "fine-tuned")
    return chain.recipe(
        "Ablation: data size", "Nested subsets of the posts, fine-tuned on each task (Fig. 4)."
    )


def pretext(sample: bool) -> RecipeSpec:
    """Return the recipe of Table 3: pretraining on comments, on reactions, or on both."""
    chain = Chain(sample)
    labels = chain.label()
    signals = {"VisE-1.2M": ["comments", "reactions"], "VisE-1.2M-C": ["comments"], "VisE-R": ["reactions"]}
    for method, used in signals.items():
        checkpoint = chain.pretrain(method, labels, signals=used)
        for kind in MAIN_TASKS:
            for protocol in ("linear", "fine-tuned"):
                chain.evaluate(method, kind, protocol, checkpoint=checkpoint)
    return chain.recipe(
        "Ablation: pretext task", "Pretraining on comments, on reactions, and on both (Table 3)."
    )


def backbone(sample: bool) -> RecipeSpec:
    """Return the recipe of Fig. 5: VisE, Random Init and IN-Sup on each backbone."""
    chain = Chain(sample)
    labels = chain.label()
    names = ("resnet18", "resnet34") if sample else ("resnet50", "resnet101", "resnext101_32x16d")
    for name in names:
        batch = {} if sample else {"batch": 1536 if name.startswith("resnext") else 1920}
        checkpoint = chain.pretrain(f"VisE-1.2M {name}", labels, backbone=name, **batch)
        for kind in MAIN_TASKS:
            chain.evaluate("VisE-1.2M", kind, "fine-tuned", backbone=name, checkpoint=checkpoint)
            chain.references(kind, "fine-tuned", name)
    return chain.recipe(
        "Ablation: backbone", "VisE, Random Init and IN-Sup on several backbones, fine-tuned (Fig. 5)."
    )


def clusters(sample: bool) -> RecipeSpec:
    """Return a recipe that varies the number of comment clusters (ours)."""
    chain = Chain(sample)
    for k in SAMPLE_CLUSTERS if sample else CLUSTERS:
        labels = chain.label(f" k={k}", k=k)
        checkpoint = chain.pretrain(f"VisE-1.2M k={k}", labels)
        for kind in MAIN_TASKS:
            chain.evaluate(f"VisE-1.2M, {k} clusters", kind, "linear", checkpoint=checkpoint)
    return chain.recipe(
        "Ablation: number of clusters", "Comment clusters fewer and more than the paper's 5000 (ours)."
    )


def extractor(sample: bool) -> RecipeSpec:
    """Return a recipe that varies the features of comments: TF-IDF or sentence embeddings (ours; Sec. 3.2 names none)."""
    chain = Chain(sample)
    for method, kind in (("VisE-1.2M", "tfidf"), ("VisE-1.2M, sentence embeddings", "sentence")):
        labels = chain.label(f" {kind}", extractor=kind)
        checkpoint = chain.pretrain(method, labels)
        for task in MAIN_TASKS:
            chain.evaluate(method, task, "linear", checkpoint=checkpoint)
    return chain.recipe(
        "Ablation: comment extractor",
        "Clusters of TF-IDF against clusters of sentence embeddings by the packaged all-MiniLM-L6-v2; for another "
        "encoder add the input text_encoder to the cluster step in a copy of this recipe (ours).",
    )


def shuffled(sample: bool) -> RecipeSpec:
    """Return the control recipe (ours): labels permuted over posts hold no information about the image."""
    chain = Chain(sample)
    labels = {
        "VisE-1.2M": chain.label(),
        "VisE-1.2M, shuffled": chain.label(" shuffled", shuffle_engagement=True),
    }
    for method, artifact in labels.items():
        checkpoint = chain.pretrain(method, artifact)
        for kind in MAIN_TASKS:
            chain.evaluate(method, kind, "linear", checkpoint=checkpoint)
    for kind in MAIN_TASKS:
        chain.references(kind, "linear")
    return chain.recipe(
        "Control: shuffled engagement", "VisE against itself with labels permuted over the posts (ours)."
    )


def moco(sample: bool) -> RecipeSpec:
    """Return the recipe of Table 5: contrastive pretraining on the same images."""
    chain = Chain(sample)
    labels = chain.label()
    vise = chain.pretrain("VisE-1.2M", labels)
    own: dict[str, Any] = {"objective": "moco-v2"}
    if sample:
        own |= {"moco": {"queue": 256}}
    else:
        own |= {
            "epochs": 200,
            "batch": 256,
            "base_lr": 0.03,
            "warmup": 0,
            "decay": {"kind": "cosine", "every": "epoch"},
        }
    contrast = chain.pretrain("VisE-1.2M (MoCo-v2)", labels, **own)
    for method, checkpoint in (("VisE-1.2M", vise), ("VisE-1.2M (MoCo-v2)", contrast)):
        chain.evaluate(method, "unbiased_emotion", "linear", checkpoint=checkpoint)
    return chain.recipe("MoCo-v2 on the same images", "Contrastive pretraining against VisE (Table 5).")


def multimodal(sample: bool) -> RecipeSpec:
    """Return the recipe of Fig. 6 and Tables 12 and 14-16: the towers of an evaluation, and which of them are trained."""
    chain = Chain(sample)
    checkpoint = chain.pretrain("VisE-1.2M", chain.label())
    for setup, protocol in MULTIMODAL:
        # A tower of text that learns wants the small rates of the paper's grid (Table 14).
        own: dict[str, Any] = {"base_lrs": [0.0025, 0.00025]} if sample and setup != "image" else {}
        if setup == "text":
            chain.evaluate("Text Only", "hateful_memes", protocol, setup=setup, **own)
            continue
        chain.evaluate("VisE-1.2M", "hateful_memes", protocol, checkpoint=checkpoint, setup=setup, **own)
        chain.references("hateful_memes", protocol, setup=setup, **own)
    return chain.recipe(
        "Ablation: image and text",
        "Hateful Memes with image and text, image and frozen text, image only and text only (Fig. 6).",
    )


def tables(sample: bool) -> RecipeSpec:
    """Return the recipe of Tables 2, 4, 6, 7 and Figs. 3, 7, 8: VisE and its references on every task."""
    chain = Chain(sample)
    checkpoint = chain.pretrain("VisE-1.2M", chain.label())
    for kind, task in TASKS.items():
        for protocol in task.protocols:
            chain.evaluate("VisE-1.2M", kind, protocol, checkpoint=checkpoint)
            chain.references(kind, protocol)
    # The paper does not say under which protocol Figs. 7 and 8 were made: ours.
    references = ["Random Init"] if sample else ["Random Init", "IN-Sup"]
    chain.compare("unbiased_emotion", "fine-tuned", [*references, "VisE-1.2M"])
    return chain.recipe(
        "Every task",
        "VisE-1.2M, Random Init and IN-Sup on every task under both protocols, and their predictions of the same "
        "images (Tables 2, 4, 6, 7; Figs. 3, 7, 8).",
    )


ABLATIONS = {
    "tables": tables,
    "data-size": data_size,
    "pretext": pretext,
    "backbone": backbone,
    "clusters": clusters,
    "extractor": extractor,
    "shuffled": shuffled,
    "moco": moco,
    "multimodal": multimodal,
}
"""Name → recipe at the paper's scale (False) or as a sample (True)."""

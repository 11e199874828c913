"""Sentence encoders: mean-pooled last hidden states of a transformer, frozen or fine-tuned.

Loading reads local files only and runs no code from the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vise_core.errors import BadCheckpoint, BadInput

from .files import encoder_files, read_json, require_transformers

Tokens = dict[str, Tensor]

PASS_TOKENS = 512
"""Tokens of one pass of ``embed``, padding included."""


class TextEncoder(nn.Module):
    """A module that embeds texts: the mean of the last hidden states over a text's tokens.

    Attributes
    ----------
    dim: length of an embedding.
    limit: most tokens of a text, special tokens included; the rest is cut off.
    special: ids of the special tokens, the unknown token included.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, limit: int) -> None:
        super().__init__()
        self.model = model
        self.dim = int(model.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.limit = limit
        self.special = frozenset(int(i) for i in tokenizer.all_special_ids)
        self._tokenizer = tokenizer

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, special tokens included, at most ``limit`` of them."""
        if not texts:
            return []
        ids = self._tokenizer(list(texts), truncation=True, max_length=self.limit)["input_ids"]
        return [[int(i) for i in row] for row in ids]

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Return the padded ``input_ids`` and ``attention_mask`` of texts, (n, longest) int64, for ``forward``."""
        return self.pad(self.token_ids(texts))

    def pad(self, ids: Sequence[Sequence[int]]) -> Tokens:
        """Return the padded ``input_ids`` and ``attention_mask`` of token ids, (n, longest) int64, for ``forward``."""
        return self._padded(ids, None)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return the mean of the states over the tokens without padding, (n, dim), with gradients."""
        states = self.model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
        means: Tensor = (states * mask).sum(1) / mask.sum(1)
        return means

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the embeddings of texts, (n, dim) float32, without gradients or dropout, on the weights' device.

        A text's embedding depends on that text only, to the last bit: batches of texts of about the same length have a
        fixed shape, so that the other texts of a batch do not change the kernels. Raises BadInput if an embedding is
        not finite.
        """
        return self.embed_ids(self.token_ids(texts))

    @torch.inference_mode()
    def embed_ids(
        self, ids: Sequence[Sequence[int]], *, on_progress: Callable[[int], None] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the embeddings of token ids, (n, dim) float32, as ``embed`` does of texts.

        Raises BadInput if one is not finite.

        ``on_progress`` is called with the number of texts done.
        """
        device = next(self.parameters()).device
        embeddings = np.zeros((len(ids), self.dim), dtype=np.float32)
        training = self.training
        self.eval()
        try:
            done = 0
            for rows, length in self._passes(ids):
                # The last batch of a length is filled up with its first text.
                full = [ids[i] for i in rows] + [ids[rows[0]]] * (_rows_of(length) - len(rows))
                tokens = {name: value.to(device) for name, value in self._padded(full, length).items()}
                embeddings[rows] = self(tokens)[: len(rows)].float().cpu().numpy()
                done += len(rows)
                if on_progress is not None:
                    on_progress(done)
        finally:
            self.train(training)
        if not np.isfinite(embeddings).all():
            bad = int((~np.isfinite(embeddings).all(1)).sum())
            raise BadInput(
                f"text encoder: the embeddings of {bad} of {len(embeddings)} texts are NaN or infinite: check the "
                "encoder's files"
            )
        return embeddings

    def _passes(self, ids: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], int]]:
        """Yield (indices of texts, padded length), as many texts at a time as that length allows."""
        by_length: dict[int, list[int]] = {}
        for number, row in enumerate(ids):
            by_length.setdefault(_padded_length(len(row), self.limit), []).append(number)
        for length, numbers in sorted(by_length.items()):
            for start in range(0, len(numbers), _rows_of(length)):
                yield numbers[start : start + _rows_of(length)], length

    def _padded(self, ids: Sequence[Sequence[int]], length: int | None) -> Tokens:
        length = max((len(row) for row in ids), default=0) if length is None else length
        padding = self._tokenizer.pad_token_id
        values = torch.full((len(ids), length), 0 if padding is None else int(padding), dtype=torch.int64)
        mask = torch.zeros((len(ids), length), dtype=torch.int64)
        for i, row in enumerate(ids):
            values[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
            mask[i, : len(row)] = 1
        return {"input_ids": values, "attention_mask": mask}


def load_text_encoder(folder: Path) -> TextEncoder:
    """Load a sentence encoder that ``transformers`` saved into a folder, in float32, in eval mode, on the CPU.

    Raises BadInput if ``transformers`` is not installed; BadCheckpoint if files are missing or damaged, are not of a
    sentence encoder, or need code of their own.
    """
    require_transformers()
    files = encoder_files(folder)
    _require_self_contained(folder)
    import transformers

    transformers.utils.logging.disable_progress_bar()
    # Safety: no download, no code of the folder, no unpickling of objects.
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        if config.is_encoder_decoder:
            raise BadCheckpoint(f"{folder}: {config.model_type} also has a decoder: use a sentence encoder")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
        model, report = transformers.AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=any(path.suffix == ".safetensors" for path in files),
            weights_only=True,
            output_loading_info=True,
            **local,
        )
    except BadCheckpoint:
        raise
    except Exception as error:
        # transformers lets all errors of its readers through: OSError, ValueError, SafetensorError, UnpicklingError, …
        raise BadCheckpoint(
            f"{folder}: not a sentence encoder that transformers can load ({error})"
        ) from error
    # The mean over tokens does not use the pooling layer of the first token, which may be missing.
    missing = sorted(name for name in report["missing_keys"] if "pooler" not in name.split("."))
    if missing or report["mismatched_keys"]:
        keys = missing or sorted(str(key) for key in report["mismatched_keys"])
        raise BadCheckpoint(f"{folder}: the weights do not fit config.json: {', '.join(keys[:5])}")
    encoder = TextEncoder(model, tokenizer, _limit(model, tokenizer, folder))
    return encoder.eval()


def _require_self_contained(folder: Path) -> None:
    """Raise BadCheckpoint if the folder refers to weights or code that transformers would load from elsewhere."""
    if (folder / "adapter_config.json").exists():
        raise BadCheckpoint(
            f"{folder}: it holds an adapter to another model; merge the two and save the whole encoder"
        )
    config = read_json(folder / "config.json")
    if "quantization_config" in config:
        raise BadCheckpoint(f"{folder}: quantised weights; give the encoder in float32, float16 or bfloat16")
    for key in ("attn_implementation", "_attn_implementation"):
        if config.get(key) not in (None, "eager", "sdpa"):
            raise BadCheckpoint(f"{folder}: config.json names the kernel {config[key]!r}; remove {key}")


def _limit(model: nn.Module, tokenizer: Any, folder: Path) -> int:
    """Return the encoder's maximum number of tokens: the smallest limit in its files."""
    limits = [int(tokenizer.model_max_length), *_positions(model)]
    stated = read_json(folder / "sentence_bert_config.json").get("max_seq_length")
    if isinstance(stated, int) and stated > 2:
        limits.append(stated)
    return min(limits)


def _positions(model: nn.Module) -> Iterator[int]:
    for name, module in model.named_modules():
        if name.split(".")[-1] == "position_embeddings" and isinstance(module, nn.Embedding):
            # RoBERTa and its relatives count positions from the padding's id on.
            skipped = 0 if module.padding_idx is None else module.padding_idx + 1
            yield module.num_embeddings - skipped


def _rows_of(length: int) -> int:
    """Return the number of texts of a batch, which depends on their padded length only."""
    return max(4, PASS_TOKENS // length)


def _padded_length(tokens: int, limit: int) -> int:
    """Round a number of tokens up to one of few lengths, so that batches are full.

    Beyond 8 tokens at most a third is padding.
    """
    length = 8
    while length < tokens:
        length += max(8, 1 << (length.bit_length() - 2))
    return min(length, max(limit, tokens))

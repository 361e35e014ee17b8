"""Writes small text encoders of the library transformers with random weights, and what they compute.

Usage: encoders.py FOLDER FAMILY LENGTH, with the environment `transformers`. FOLDER has a tokenizer.json and texts.json, a list of
[text, other text or null]. Writes config.json and model.safetensors, and expected.safetensors with the last hidden states, the mask and
the logits, of the texts (`single.…`) and of the pairs (`pair.…`), of at most LENGTH tokens.
"""

import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

# Sizes of all families: a few heads and blocks, and a text of more tokens than the window of ModernBERT.
SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40}
FAMILIES = {
    "bert": (transformers.BertConfig, {**SIZES, "max_position_embeddings": 64}),
    "distilbert": (
        transformers.DistilBertConfig,
        {"dim": 24, "n_layers": 3, "n_heads": 4, "hidden_dim": 40, "max_position_embeddings": 64},
    ),
    "roberta": (transformers.RobertaConfig, {**SIZES, "max_position_embeddings": 66, "type_vocab_size": 1}),
    "xlm-roberta": (
        transformers.XLMRobertaConfig,
        {**SIZES, "max_position_embeddings": 66, "type_vocab_size": 1},
    ),
    "modernbert": (
        transformers.ModernBertConfig,
        {**SIZES, "num_hidden_layers": 4, "max_position_embeddings": 64, "local_attention": 8},
    ),
}
# Entries that the tokens of the tokenizer determine.
TOKENS = {"pad_token_id": ("[PAD]", "<pad>"), "bos_token_id": ("[CLS]", "<s>"), "eos_token_id": ("[SEP]", "</s>")}


def build(folder, family, tokenizer):
    """A classifier of three classes whose weights are large enough that all of them matter."""
    make_config, sizes = FAMILIES[family]
    vocabulary = tokenizer.get_vocab()
    own = {entry: next((vocabulary[name] for name in names if name in vocabulary), None) for entry, names in TOKENS.items()}
    config = make_config(vocab_size=len(vocabulary), num_labels=3, **sizes, **own)
    torch.manual_seed(1)
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return model


def load_published(folder):
    return transformers.AutoModel.from_pretrained(folder).eval()


def compute(model, tokenizer, length, texts, prefix):
    first, second = [text for text, _ in texts], [pair for _, pair in texts]
    pairs = {} if second[0] is None else {"text_pair": second}
    limits = {"padding": True, "truncation": True, "max_length": length}
    # The other families have no token types.
    has_types = model.config.model_type == "bert"
    batch = tokenizer(first, **pairs, **limits, return_token_type_ids=has_types, return_tensors="pt")
    with torch.no_grad():
        found = model(**batch, output_hidden_states=True)
        hidden = model.base_model(**batch).last_hidden_state
    tensors = {"hidden": hidden, "mask": batch["attention_mask"]}
    if "logits" in found:
        tensors["logits"] = found.logits
    return {f"{prefix}.{name}": tensor.contiguous() for name, tensor in tensors.items()}


def main(folder, family, length):
    folder = pathlib.Path(folder)
    tokenizer_file = folder / "tokenizer.json"
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    if "<pad>" in dict(json.loads(tokenizer_file.read_text())["model"]["vocab"]):
        names = {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file), **names)
    published = family == "published"
    model = load_published(folder) if published else build(folder, family, tokenizer)
    texts = json.loads((folder / "texts.json").read_text())
    single = compute(model, tokenizer, length, [text for text in texts if text[1] is None], "single")
    pairs = compute(model, tokenizer, length, [text for text in texts if text[1] is not None], "pair")
    save_file({**single, **pairs}, folder / "expected.safetensors")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

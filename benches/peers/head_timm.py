"""The job of benches/head_only.rs with timm and scikit-learn: from a folder of JPEGs and pretrained weights to an exported classifier.

Usage: head_timm.py PHOTOS WEIGHTS OUT. Prints, as JSON, the seconds of each phase and the validation accuracy.
"""

import json
import sys
import time

started = time.perf_counter()

import numpy as np
import timm
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

# The strengths of `--head linear`, as C of scikit-learn.
STRENGTHS = [10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.001, 0.0001]


def extract(photos, model):
    config = timm.data.resolve_model_data_config(model)
    data = ImageFolder(photos, timm.data.create_transform(**config, is_training=False))
    loader = DataLoader(data, batch_size=64, num_workers=2)
    features, labels = [], []
    with torch.inference_mode():
        for images, targets in loader:
            features.append(model.forward_head(model.forward_features(images), pre_logits=True))
            labels.append(targets)
    return torch.cat(features).numpy(), torch.cat(labels).numpy(), data.classes


def fit(features, labels):
    train, held_out = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    scaler = StandardScaler().fit(features[train])
    inputs = scaler.transform(features)
    best = None
    for strength in STRENGTHS:
        classifier = LogisticRegression(C=1 / (strength * len(train)), max_iter=1000)
        classifier.fit(inputs[train], labels[train])
        loss = log_loss(labels[held_out], classifier.predict_proba(inputs[held_out]))
        if best is None or loss < best[0]:
            best = loss, classifier
    accuracy = best[1].score(inputs[held_out], labels[held_out])
    weight = best[1].coef_ / scaler.scale_
    return weight, best[1].intercept_ - weight @ scaler.mean_, accuracy


def main(photos, weights, out):
    model = timm.create_model("tf_efficientnet_lite0", num_classes=1000)
    model.load_state_dict(load_file(weights))
    model.eval()
    begun = time.perf_counter()
    features, labels, classes = extract(photos, model)
    extracted = time.perf_counter()
    weight, bias, accuracy = fit(features, labels)
    fitted = time.perf_counter()
    model.reset_classifier(len(classes))
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(weight))
        model.classifier.bias.copy_(torch.from_numpy(bias))
        torch.jit.trace(model, torch.zeros(1, 3, 224, 224)).save(out)
    ended = time.perf_counter()
    phases = {"start": begun - started, "features": extracted - begun, "head": fitted - extracted, "export": ended - fitted}
    print(json.dumps({"accuracy": accuracy, **phases}))


main(*sys.argv[1:])

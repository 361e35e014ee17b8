"""Reads a folder of event files as TensorBoard does, and prints what it finds as JSON."""

import io
import json
import sys

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

ALL = {kind: 0 for kind in event_accumulator.DEFAULT_SIZE_GUIDANCE}
events = event_accumulator.EventAccumulator(sys.argv[1], size_guidance=ALL)
events.Reload()


def histogram(tag):
    found = events.Histograms(tag)
    last = found[-1].histogram_value
    return {
        "epochs": [event.step for event in found],
        "count": last.num,
        "sum_of_counts": sum(last.bucket),
        "limits_grow": bool((np.diff(last.bucket_limit) > 0).all()),
        "last_limit": last.bucket_limit[-1],
        "min": last.min,
        "max": last.max,
    }


def image(tag):
    last = events.Images(tag)[-1]
    pixels = Image.open(io.BytesIO(last.encoded_image_string))
    assert pixels.size == (last.width, last.height)
    return {
        "size": pixels.size,
        "corner": pixels.getpixel((0, 0)),
        # Actual class 0, predicted class 1, which never happens.
        "beside": pixels.getpixel((40, 0)),
        "text": events.SummaryMetadata(tag).summary_description,
    }


def plugin(tag):
    content = events.SummaryMetadata(tag).plugin_data.content
    return plugin_data_pb2.HParamsPluginData.FromString(content)


options = plugin("_hparams_/session_start_info").session_start_info.hparams
experiment = plugin("_hparams_/experiment").experiment
end = plugin("_hparams_/session_end_info").session_end_info
tags = events.Tags()
json.dump(
    {
        "scalars": {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags["scalars"]},
        "histograms": {tag: histogram(tag) for tag in tags["histograms"]},
        "images": {tag: image(tag) for tag in tags["images"]},
        "options": {name: getattr(value, value.WhichOneof("kind")) for name, value in options.items()},
        "metrics": [metric.name.tag for metric in experiment.metric_infos],
        "status": api_pb2.Status.Name(end.status),
    },
    sys.stdout,
)

"""Classifies the rows of a CSV file of numbers with an exported ONNX model. Usage: classify_onnx.py MODEL.onnx ROWS.csv"""
import json
import sys

import numpy
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
_, *shape = session.get_inputs()[0].shape

rows = numpy.loadtxt(sys.argv[2], delimiter=",", dtype=numpy.float32, ndmin=2)
[logits] = session.run(["logits"], {"input": rows.reshape(-1, *shape)})

exponentials = numpy.exp(logits - logits.max(axis=1, keepdims=True))
probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
for row, index in enumerate(probabilities.argmax(axis=1)):
    print(classes[index], f"{probabilities[row, index]:.4f}", *(f"{logit:.9g}" for logit in logits[row]))

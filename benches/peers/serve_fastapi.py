"""The same model behind FastAPI and uvicorn, as in its documentation: serve_fastapi.py MODEL PORT

The handler is asynchronous, so that a forward pass of microseconds needs no thread switch, and uvicorn uses its fastest event loop and parser.
"""

import json
import sys

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

model_file, port = sys.argv[1:]
torch.set_num_threads(1)
extra = {"metadata.json": ""}
model = torch.jit.load(model_file, _extra_files=extra).eval()
classes = json.loads(extra["metadata.json"])["classes"]
app = FastAPI()


class Inputs(BaseModel):
    inputs: list[list[float]]


@app.post("/v1/predict")
async def predict(body: Inputs, top_k: int = len(classes)):
    with torch.inference_mode():
        probabilities = torch.softmax(model(torch.tensor(body.inputs)), dim=-1)
        shares, places = probabilities.topk(top_k, dim=-1)
    results = [
        {"predictions": [{"class": classes[place], "probability": share} for share, place in zip(*row)]}
        for row in zip(shares.tolist(), places.tolist())
    ]
    return {"results": results}


uvicorn.run(app, port=int(port), loop="uvloop", http="httptools", log_level="warning", access_log=False)

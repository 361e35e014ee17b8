"""Reads messages of OTLP in JSON with OpenTelemetry's own definitions: read_otlp.py MESSAGES

MESSAGES is a JSON list of pairs: path and message. Unknown fields and values of other types are errors.
"""

import json
import sys

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


def main():
    messages = json.load(open(sys.argv[1]))
    assert {path for path, _ in messages} == set(KINDS), messages
    for path, message in messages:
        read = ParseDict(message, KINDS[path]())
        if path == "/v1/traces":
            spans = read.resource_spans[0].scope_spans[0].spans
            assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
            assert {span.kind for span in spans} <= {1, 2}
        else:
            metrics = read.resource_metrics[0].scope_metrics[0].metrics
            assert {metric.WhichOneof("data") for metric in metrics} == {"sum", "gauge", "histogram"}
            for metric in metrics:
                for point in metric.histogram.data_points:
                    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
                    assert sum(point.bucket_counts) == point.count


if __name__ == "__main__":
    main()

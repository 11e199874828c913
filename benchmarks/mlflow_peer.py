"""MLflow's side of ``benchmarks.tracking_mlflow``, which runs this file in MLflow's own environment.

Reads a request as JSON from standard input and writes seconds as JSON to standard output.
"""

import json
import sys
import time

from mlflow import MlflowClient
from mlflow.entities import Metric


def log(client: MlflowClient, run_id: str, keys: list[str], steps: int, batch: int) -> float:
    """Return the seconds to log a point of each key at each step, ``batch`` points a call."""
    now = int(time.time() * 1000)
    points = [Metric(key, 1 / (1 + step), now, step) for step in range(steps) for key in keys]
    began = time.perf_counter()
    for start in range(0, len(points), batch):
        client.log_batch(run_id, metrics=points[start : start + batch])
    return time.perf_counter() - began


def search(
    client: MlflowClient, experiment: str, searches: list[list[str]], limit: int, repeats: int
) -> list[list[float]]:
    """Return for each search (filter, order) the number of runs on its page, then the seconds of each repetition."""
    results = []
    for filter_string, order in searches:
        took = []
        for _ in range(repeats + 1):
            began = time.perf_counter()
            page = client.search_runs([experiment], filter_string, order_by=[order], max_results=limit)
            took.append(time.perf_counter() - began)
        results.append([len(page), *took[1:]])
    return results


def main() -> None:
    request = json.load(sys.stdin)
    client = MlflowClient(request["url"])
    response: object
    if request["what"] == "experiment":
        response = client.create_experiment("benchmark")
    elif request["what"] == "log":
        run = client.create_run(request["experiment"])
        response = log(client, run.info.run_id, request["keys"], request["steps"], request["batch"])
    else:
        response = search(
            client, request["experiment"], request["searches"], request["limit"], request["repeats"]
        )
    json.dump(response, sys.stdout)


main()

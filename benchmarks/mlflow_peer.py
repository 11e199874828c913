"""MLflow's client, in an environment of its own: ``benchmarks.tracking_mlflow`` starts this file there.

It reads an order as JSON from standard input and writes seconds as JSON to standard output.
"""

import json
import sys
import time

from mlflow import MlflowClient
from mlflow.entities import Metric


def log(client: MlflowClient, run_id: str, keys: list[str], steps: int, batch: int) -> float:
    """Seconds to log a point of each key at each step, ``batch`` points a call."""
    now = int(time.time() * 1000)
    points = [Metric(key, 1 / (1 + step), now, step) for step in range(steps) for key in keys]
    began = time.perf_counter()
    for start in range(0, len(points), batch):
        client.log_batch(run_id, metrics=points[start : start + batch])
    return time.perf_counter() - began


def search(
    client: MlflowClient, experiment: str, searches: list[list[str]], limit: int, repeats: int
) -> list[list[float]]:
    """Seconds of each repetition of each search (filter, order), and how many runs the last of them gave."""
    found = []
    for filter_string, order in searches:
        took = []
        for _ in range(repeats + 1):
            began = time.perf_counter()
            page = client.search_runs([experiment], filter_string, order_by=[order], max_results=limit)
            took.append(time.perf_counter() - began)
        found.append([len(page), *took[1:]])
    return found


def main() -> None:
    order = json.load(sys.stdin)
    client = MlflowClient(order["url"])
    answer: object
    if order["what"] == "experiment":
        answer = client.create_experiment("benchmark")
    elif order["what"] == "log":
        run = client.create_run(order["experiment"])
        answer = log(client, run.info.run_id, order["keys"], order["steps"], order["batch"])
    else:
        answer = search(client, order["experiment"], order["searches"], order["limit"], order["repeats"])
    json.dump(answer, sys.stdout)


main()

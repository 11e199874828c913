"""The query language: random queries find what plain Python finds, and errors say where and what."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from backend.store.accounts.tables import User
from backend.store.database import connect, session_factory
from backend.store.runs.query.language import QueryError, parse
from backend.store.runs.run_list import Paging, RunFilter, list_runs
from tests.backend.run_rows import NOW, add_run

ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
NAMES = ["VisE run", "vise 100%", "other_run", 'say "hi"', "a\\b"]
TAGS = ["c+r", "red", "two words"]
LRS = [(0.1,), (0.1, 0.01), (0.001,)]
ACCURACIES = [None, 55.5, 60.0, 72.25, math.nan]
STAGES = ["evaluate", "pretrain"]
STATES = ["succeeded", "failed", "running", "queued"]


def record(n: int) -> dict[str, Any]:
    """One of the table's rows as plain data: the only source of both the table and the expected answers."""
    stage = STAGES[n % 2]
    spec = {"seed": n % 3}
    spec |= {"base_lrs": LRS[n % 3]} if stage == "evaluate" else {"base_lr": [0.1, 0.025][n % 4 // 2]}
    spec["backbone" if stage == "pretrain" else "method"] = "resnet18" if n % 5 else "resnet50"
    return {
        "name": NAMES[n % 5],
        "stage": stage,
        "state": STATES[n % 4],
        "tags": [tag for bit, tag in enumerate(TAGS) if n >> bit & 1],
        "spec": spec,
        "curve": None if (value := ACCURACIES[n % 5]) is None else value,
        "final": 80.0 + n if n % 7 == 0 else None,
        "starred": n % 2 == 1,
        "archived": n % 6 == 0,
        "minutes": 60.0 * n,
        "seconds": None if n % 4 > 1 else 30.0 * n,
        "reason": None if n % 3 else f"reason {n}",
        "owned": n % 3 == 0,
    }


ROWS = [record(n) for n in range(24)]


@pytest.fixture
def table(database_url: str) -> Iterator[Session]:
    """A session over a database with ROWS in it."""
    engine = connect(database_url)
    with session_factory(engine)() as db:
        user = User(email="ada@example.org", role="editor")
        db.add(user)
        db.flush()
        for n, row in enumerate(ROWS):
            started = NOW - timedelta(minutes=row["minutes"])
            add_run(
                db,
                stage=row["stage"],
                spec=row["spec"],
                state=row["state"],
                name=row["name"],
                tags=row["tags"],
                curve=None if row["curve"] is None else {"val_accuracy": [(1, 10.0), (2, row["curve"])]},
                headline=None if row["final"] is None else {"val_accuracy": row["final"]},
                minutes=row["minutes"],
                starred=row["starred"],
                archived=row["archived"],
                reason=row["reason"],
                step=str(n),
                started_at=None if row["seconds"] is None else started,
                finished_at=None if row["seconds"] is None else started + timedelta(seconds=row["seconds"]),
                created_by=user.id if row["owned"] else None,
            )
        yield db
    engine.dispose()


# Each strategy gives (query as text, what it should find as a function of a row).
Case = tuple[str, Any]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def text_case(name: str, get: Any, values: list[str]) -> st.SearchStrategy[Case]:
    def make(sign: str, value: str) -> Case:
        def fits(row: dict[str, Any]) -> bool:
            text = get(row)
            if text is None:
                return sign in ("!=", "!~")
            equal, part = text == value, value.lower() in text.lower()
            return {"=": equal, "!=": not equal, "~": part, "!~": not part}[sign]

        return f"{name} {sign} {quoted(value)}", fits

    return st.builds(make, st.sampled_from(["=", "!=", "~", "!~"]), st.sampled_from(values))


def number_case(name: str, get: Any, values: list[float]) -> st.SearchStrategy[Case]:
    """``get`` gives the list of the row's values; any of them may fit."""

    def make(sign: str, value: float) -> Case:
        if sign in ("=", "!="):
            return f"{name}{sign}{value!r}", lambda row: (value in get(row)) is (sign == "=")
        return f"{name} {sign} {value!r}", lambda row: any(ORDERS[sign](v, value) for v in get(row))

    return st.builds(make, st.sampled_from(["=", "!=", *ORDERS]), st.sampled_from(values))


def metric(rule: str) -> Any:
    def get(row: dict[str, Any]) -> list[float]:
        curve = row["curve"]
        finite = [v for v in ([] if curve is None else [10.0, curve]) if not math.isnan(v)]
        value = {
            "": row["final"] if row["final"] is not None else curve,
            ":last": curve,
            ":max": max(finite, default=None),
            ":min": min(finite, default=None),
        }[rule]
        return [] if value is None or math.isnan(value) else [value]

    return get


def spec(path: str) -> Any:
    def get(row: dict[str, Any]) -> list[Any]:
        value = row["spec"].get(path, [])
        return list(value) if isinstance(value, tuple | list) else [value]

    return get


def among(name: str, get: Any, values: list[str]) -> st.SearchStrategy[Case]:
    def make(chosen: list[str], wanted: bool) -> Case:
        word = "in" if wanted else "not in"
        return f"{name} {word} ({', '.join(chosen)})", lambda row: (get(row) in chosen) is wanted

    return st.builds(make, st.lists(st.sampled_from(values), min_size=1, max_size=3), st.booleans())


FLAGS: list[Case] = [
    ("starred", lambda row: row["starred"]),
    ("archived", lambda row: row["archived"]),
    ("starred = false", lambda row: not row["starred"]),
    ("child", lambda row: False),
    ("metric.val_accuracy:last = none", lambda row: row["curve"] is None or math.isnan(row["curve"])),
    ("spec.base_lr != none", lambda row: "base_lr" in row["spec"]),
    ("tag ~ WORDS", lambda row: "two words" in row["tags"]),
    ("tag !~ E", lambda row: not any("e" in tag for tag in row["tags"])),
    ("tag = none", lambda row: not row["tags"]),
    ("user = none", lambda row: not row["owned"]),
    ("user ~ ADA", lambda row: row["owned"]),
    ("duration = none", lambda row: row["seconds"] is None),
    ("duration > 2m", lambda row: row["seconds"] is not None and row["seconds"] > 120),
    ("created > -5h", lambda row: row["minutes"] < 300),
    ("created <= -1d", lambda row: row["minutes"] >= 1440),
    ("'vise'", lambda row: "vise" in row["name"].lower()),
    ("red", lambda row: "red" in row["tags"] or "red" in row["name"]),
    ("two words", lambda row: "two words" in row["tags"]),
]
LEAVES = st.one_of(
    text_case("name", lambda row: row["name"], [*NAMES, "%", "_", "VISE", "\\"]),
    text_case("reason", lambda row: row["reason"], ["reason 3", "REASON", "1"]),
    st.builds(
        lambda sign, tag: (f"tag {sign} {quoted(tag)}", lambda row: (tag in row["tags"]) is (sign == "=")),
        st.sampled_from(["=", "!="]),
        st.sampled_from([*TAGS, "absent"]),
    ),
    among("stage", lambda row: row["stage"], STAGES),
    among("state", lambda row: row["state"], STATES),
    number_case("spec.base_lrs", spec("base_lrs"), [0.1, 0.01, 0.05, 1e-3]),
    number_case("base_lr", spec("base_lr"), [0.1, 0.025]),
    number_case("lr", spec("base_lr"), [0.1, 0.05]),
    number_case("seed", spec("seed"), [0.0, 1.0, 2.0]),
    *(
        number_case(f"metric.val_accuracy{r}", metric(r), [10.0, 55.5, 60.0, 80.0])
        for r in ("", ":last", ":max", ":min")
    ),
    st.sampled_from(FLAGS),
)


def joined(word: str, join: Any) -> Any:
    def make(parts: list[Case]) -> Case:
        return (
            "(" + f" {word} ".join(text for text, _ in parts) + ")",
            lambda row: join(fits(row) for _, fits in parts),
        )

    return make


QUERIES: st.SearchStrategy[Case] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda part: (f"not {part[0]}", lambda row: not part[1](row)), inner),
        st.lists(inner, min_size=2, max_size=3).map(joined("and", all)),
        st.lists(inner, min_size=2, max_size=3).map(joined("OR", any)),
    ),
    max_leaves=6,
)


def found(db: Session, query: str) -> set[int]:
    page = list_runs(db, RunFilter(query=query), Paging(limit=200))
    return {int(run.step or "") for run in page.items}


def test_random_queries_find_what_plain_python_finds(table: Session) -> None:
    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(QUERIES)
    def check(case: Case) -> None:
        text, fits = case
        assert found(table, text) == {n for n, row in enumerate(ROWS) if fits(row)}, text

    check()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("stage = pretrain and state = failed or starred and not archived", None),
        ("  ", range(24)),
        ("metric.val_accuracy > 85 and not archived", [7, 14, 21]),
        ("step in (3, 4)", [3, 4]),
        ("spec.method = resnet50 or spec.backbone ~ NET50", [0, 5, 10, 15, 20]),
        ("finished > 2100-01-01", []),
    ],
)
def test_and_binds_closer_than_or(table: Session, query: str, expected: Any) -> None:
    if expected is None:
        expected = [
            n
            for n, row in enumerate(ROWS)
            if (row["stage"] == "pretrain" and row["state"] == "failed")
            or (row["starred"] and not row["archived"])
        ]
    assert found(table, query) == set(expected)


@pytest.mark.parametrize(
    ("query", "at", "message"),
    [
        ("stage =", 8, "expected one of ingest"),
        ("stage = pretain", 9, "expected one of ingest"),
        ("stag = pretrain", 1, "did you mean stage?"),
        ("spec.base_lrr < 1", 1, "did you mean"),
        ("name < 3", 6, "name takes =, !=, ~, !~"),
        ("starred and", 12, "expected a field such as stage"),
        ("(starred or archived", 21, "expected ), not the end"),
        ("state in (running, )", 20, "expected one of waiting"),
        ("state in running", 10, "expected ( after in"),
        ("created > yesterday", 11, "a time such as -7d"),
        ("duration > soon", 12, "a span of time such as 90s"),
        ("metric.loss < low", 15, "expected a number, not 'low'"),
        ('name = "open', 8, 'expected a closing "'),
        ("starred archived", 9, "expected and, or, or the end"),
        ("id = 3", 6, "expected an id"),
        ("starred)", 8, "expected and, or"),
        ("not " * 60 + "starred", 205, "at most 50 levels"),
        ("metric. > 3", 1, "expected the name of a metric"),
        ("VisE stage = pretrain", 6, "expected and or or before 'stage'"),
    ],
)
def test_errors_name_the_position_and_what_was_expected(query: str, at: int, message: str) -> None:
    with pytest.raises(QueryError) as raised:
        parse(query)
    assert str(raised.value).startswith(f"query: at character {at}: ")
    assert message in str(raised.value)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=60))
@pytest.mark.slow
def test_any_text_is_a_query_or_an_error(text: str) -> None:
    at = 0
    try:
        parse(text)
    except QueryError as error:
        at = error.at
    assert 0 <= at <= len(text)


def test_values_are_never_part_of_the_statement(table: Session) -> None:
    from backend.store.runs.query.conditions import condition

    evil = "x'; drop table runs; --"
    for query in (f'name = "{evil}"', f'metric."{evil}" > 1', f'tag ~ "{evil}"', f'step in ("{evil}")'):
        try:
            statement = str(condition(parse(query), datetime.now(UTC)))
        except QueryError:
            continue
        assert "drop" not in statement
        assert found(table, query) == set()

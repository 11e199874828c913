"""Ids of posts are removed from every column of text or JSON, apart from those that are named with a reason."""

import pytest
from sqlalchemy import ARRAY, JSON, func, select, text, tuple_, update

from backend.store.registry.tables import Dataset, DatasetRead, DatasetVersion
from backend.store.tables import Base
from backend.store.upkeep import forget_rows
from tests.worker.storage.lab import GONE, STAYS, Lab
from tests.worker.storage.test_delete_everything import fill
from vise_client.client import ViseClient
from vise_core.files import listing
from vise_core.formats.holding import Wanted


def test_an_id_is_removed_from_every_column(lab: Lab, vise: ViseClient) -> None:
    fill(lab, vise)
    place, filled = lab.place, set()
    columns = forget_rows.searched_columns()
    with place.sessions.begin() as db:
        for column in columns:
            table = column.table
            key = tuple_(*table.primary_key.columns)
            row = select(*table.primary_key.columns).limit(1)
            value: object = f"about {GONE}; not {STAYS}"
            if isinstance(column.type, JSON):
                value = {"of": [value], GONE: {STAYS: 1}}
            elif isinstance(column.type, ARRAY):
                value = [value]
            done = db.execute(update(table).where(key.in_(row)).values({column: value}).returning(1)).all()
            filled |= {str(column) for _ in done}
    assert len(filled) > 0.9 * len(columns), {str(column) for column in columns} - filled
    wanted = Wanted([GONE])
    with place.sessions.begin() as db:
        assert forget_rows.find(db, wanted)
        forget_rows.forget(db, wanted)
    with place.sessions() as db:
        assert forget_rows.find(db, wanted) == []
        for table in Base.metadata.sorted_tables:
            if table.name not in forget_rows.UNSEARCHED:
                whole = text(f"SELECT count(*) FROM {table.name} row WHERE row::text LIKE :id")  # noqa: S608
                assert db.scalar(whole, {"id": f"%{GONE}%"}) == 0, table.name
        events = Base.metadata.tables["run_events"].c.detail
        assert db.scalar(select(func.count()).where(events == f"about [removed]; not {STAYS}")) == 1


def test_a_short_id_is_not_taken_for_another_value(lab: Lab) -> None:
    wanted = Wanted(["7"])
    lab.place.change(
        lab.ingest, spec={"layers": "7"}, tags=["7"], result={"rejected": [{"post": "7"}], "n": 7}
    )
    with lab.place.sessions.begin() as db:
        forget_rows.forget(db, wanted)
        runs = Base.metadata.tables["runs"]
        row = db.execute(select(runs.c.spec, runs.c.tags, runs.c.result).where(runs.c.id == lab.ingest)).one()
    assert row == ({"layers": "7"}, ["7"], {"rejected": [{"post": "[removed]"}], "n": 7})


@pytest.mark.parametrize("post", [GONE, "7"])
def test_an_id_is_removed_from_packed_listings_of_folders(lab: Lab, post: str) -> None:
    names = [f"images/{post}.jpg", f"{post}/comments.json", "images/17.jpg", f"images/{STAYS}.tar.gz"]
    packed = listing.pack((name.encode(), b"mark") for name in names)
    wanted = Wanted([post])
    with lab.place.sessions.begin() as db:
        dataset = db.scalars(select(Dataset.id)).one()
        db.add(DatasetVersion(dataset_id=dataset, number=1, sha256="1", files=4, size=4, listing=packed))
        db.add(DatasetRead(run_id=lab.ingest, role="r", dataset_id=dataset, name="raw", listing=packed))
        db.flush()
        assert "2 listings of folders" in forget_rows.find(db, wanted)
        forget_rows.forget(db, wanted)
    with lab.place.sessions() as db:
        assert "2 listings of folders" not in forget_rows.find(db, wanted)
        for column in (DatasetVersion.listing, DatasetRead.listing):
            left = listing.unpack(db.scalars(select(column)).one())
            folder = "[removed]" if post == GONE else "7"
            assert set(left) == {
                *(b"images/[removed].jpg", b"images/17.jpg"),
                *(f"{folder}/comments.json".encode(), f"images/{STAYS}.tar.gz".encode()),
            }
            assert set(left.values()) == {b"mark"}


def test_what_is_not_searched_exists() -> None:
    tables = Base.metadata.tables
    known = {*tables, *(str(column) for table in tables.values() for column in table.columns)}
    assert forget_rows.UNSEARCHED.keys() - known == set()

"""What the migration to the runs desk makes of the runs that there are already."""

from sqlalchemy import text

from alembic import command
from backend.store.database import alembic_config, connect, migrate

OLD = """
INSERT INTO runs (kind, stage, name, state, queue, spec, headline, result)
SELECT 'stage', 'evaluate', 'old ' || seed, 'succeeded', 'gpu',
       json_build_object('seed', seed, 'epochs', 7, 'base_lrs', json_build_array(0.1, 0.2)),
       '{"val_accuracy": 61.0}',
       '{"metric": "accuracy", "splits": [{"chosen": {"val": 60, "test": 55}}, {"chosen": {"val": 62, "test": null}}]}'
FROM generate_series(1, 2) AS seed
"""
POINTS = """
INSERT INTO metric_points (run_id, key, step, value)
SELECT id, point.* FROM runs, (VALUES
    ('val_accuracy', 1, 50::float8), ('val_accuracy', 2, 70), ('val_accuracy', 3, 60),
    ('train_loss', 1, 3), ('train_loss', 2, 2), ('train_loss', 3, 'NaN')) AS point (key, step, value)
"""


def test_old_runs_get_a_group_their_parameters_and_what_their_curves_come_to(empty_database_url: str) -> None:
    command.upgrade(alembic_config(empty_database_url), "0001")
    engine = connect(empty_database_url)
    with engine.begin() as db:
        db.execute(text(OLD))
        db.execute(text(POINTS))
    migrate(empty_database_url)
    with engine.connect() as db:
        groups = db.execute(
            text("SELECT count(DISTINCT group_key), count(DISTINCT replicate) FROM runs")
        ).one()
        params = db.execute(
            text("SELECT path, position, number FROM run_params ORDER BY run_id, path, position")
        )
        kept = db.execute(
            text(
                "SELECT key, final, finals, min, max, min_step, max_step, at_best FROM metric_latest ORDER BY run_id, key"
            )
        )
        assert groups == (1, 2)
        assert params.all()[:4] == [
            ("base_lrs", 0, 0.1),
            ("base_lrs", 1, 0.2),
            ("epochs", 0, 7),
            ("seed", 0, 1),
        ]
        assert kept.all()[:2] == [
            ("train_loss", None, None, 2, 3, 2, 1, 2),
            ("val_accuracy", 61, [60, 62], 50, 70, 1, 2, 70),
        ]
    engine.dispose()

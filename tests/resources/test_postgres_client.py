"""Frames go into Postgres and come back bit for bit; a partition is replaced wholly or not at all."""

import datetime as dt
import math
import struct
import threading
import time
import uuid
from typing import ClassVar

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from resources.connection import connect
from resources.postgres_client import STAGES, AppendResult, PostgresClient
from resources.settings import Settings

SCORES = "twins.prognostic_scores"
PARTITION = {"tenant_id": "acme", "experiment": "e"}
AWKWARD_TEXT = [
    "",
    " ",
    "null",
    "NULL",
    "\\N",
    "\\.",
    'q"q',
    "a,b",
    "l\nm",
    "cr\r\nlf",
    "\\",
    "é漢🙂",
    "'",
    "\t",
    "\ufeff",
]
AWKWARD_NUMBERS = [
    0.0,
    -0.0,
    0.1,
    1e-300,
    5e-324,
    1.7976931348623157e308,
    math.inf,
    -math.inf,
    math.nan,
    1e22,
    1 / 3,
]
NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=dt.UTC)


def scores(values: dict[str, float | None], metric: str = "m") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "metric": [metric] * len(values),
            "unit_id": list(values),
            "score": pl.Series(list(values.values()), dtype=pl.Float64),
            "provenance_id": ["p"] * len(values),
        }
    )


def events(*event_ids: str, tenant: str = "acme", source: str = "s", unit: str = "u") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "tenant_id": [tenant] * len(event_ids),
            "source": [source] * len(event_ids),
            "event_id": list(event_ids),
            "type": ["outcome"] * len(event_ids),
            "unit_id": [unit] * len(event_ids),
            "occurred_at": [NOON] * len(event_ids),
            "sent_at": pl.Series([None] * len(event_ids), dtype=pl.Datetime("us", "UTC")),
            "properties": ['{"spend": 1.5}'] * len(event_ids),
        }
    )


def bits(values: list[float | None]) -> list[bytes | None]:
    return [None if value is None else struct.pack("d", value) for value in values]


@pytest.fixture(autouse=True)
def empty_partition(postgres: PostgresClient) -> None:
    postgres.execute(f"DELETE FROM {SCORES}")


class TestRead:
    def test_every_type_comes_back_as_the_polars_type_that_holds_it(self, postgres: PostgresClient) -> None:
        frame = postgres.read(
            """
            SELECT 1::smallint AS i2, 2 AS i4, 9223372036854775807 AS i8, 1.5::real AS f4, 0.1::float8 AS f8,
                   12.5::numeric AS exact, true AS yes, date '1969-12-31' AS day,
                   timestamptz '1969-12-31 23:59:59.999999+00' AS instant, timestamp '2024-01-01' AS local,
                   '{"b": 1, "a": null}'::jsonb AS document, array['x', null] AS list, 'a0'::bpchar AS padded,
                   '00000000-0000-0000-0000-000000000001'::uuid AS id
            """
        )
        assert dict(frame.schema) == {
            "i2": pl.Int64,
            "i4": pl.Int64,
            "i8": pl.Int64,
            "f4": pl.Float64,
            "f8": pl.Float64,
            "exact": pl.Float64,
            "yes": pl.Boolean,
            "day": pl.Date,
            "instant": pl.Datetime("us", "UTC"),
            "local": pl.Datetime("us"),
            "document": pl.String,
            "list": pl.String,
            "padded": pl.String,
            "id": pl.String,
        }
        assert frame.row(0)[:9] == (
            1,
            2,
            9223372036854775807,
            1.5,
            0.1,
            12.5,
            True,
            dt.date(1969, 12, 31),
            dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        )
        assert frame["document"][0] == '{"a": null, "b": 1}'

    def test_null_of_every_type_is_null_and_an_empty_string_is_not(self, postgres: PostgresClient) -> None:
        frame = postgres.read(
            "SELECT null::text AS t, null::float8 AS f, null::int AS i, null::bool AS b,"
            " null::timestamptz AS s,"
            " null::date AS d, '' AS e"
        )
        assert frame.row(0) == (None, None, None, None, None, None, "")

    @pytest.mark.parametrize("expression", ["null::text", "''", "null::int"])
    def test_rows_of_a_single_empty_value_are_all_there(self, postgres: PostgresClient, expression: str) -> None:
        assert postgres.read(f"SELECT {expression} AS only FROM generate_series(1, 3)").height == 3

    def test_no_rows_give_an_empty_frame_of_the_same_types(self, postgres: PostgresClient) -> None:
        frame = postgres.read("SELECT 1 AS a, 'x' AS b, now() AS c, true AS d WHERE false")
        assert frame.height == 0
        assert list(frame.dtypes) == [pl.Int64, pl.String, pl.Datetime("us", "UTC"), pl.Boolean]

    def test_parameters_are_values_and_never_sql(self, postgres: PostgresClient) -> None:
        attack = "'; DROP TABLE raw.events; -- %s"
        assert postgres.read("SELECT %s AS said", (attack,))["said"].to_list() == [attack]
        assert postgres.read("SELECT %(said)s AS said", {"said": attack})["said"].to_list() == [attack]
        assert postgres.read("SELECT 'a%b' AS percent, 5 % 3 AS remainder").row(0) == ("a%b", 2)

    def test_a_query_may_end_in_a_semicolon_or_a_comment_and_keeps_its_order(self, postgres: PostgresClient) -> None:
        query = "SELECT g FROM generate_series(1, 5) AS g ORDER BY g DESC -- downwards\n;"
        assert postgres.read(query)["g"].to_list() == [5, 4, 3, 2, 1]

    def test_a_schema_casts_the_named_columns(self, postgres: PostgresClient) -> None:
        frame = postgres.read("SELECT 1 AS a, 'x' AS b", schema={"a": pl.Float64, "b": pl.Categorical})
        assert list(frame.dtypes) == [pl.Float64, pl.Categorical]

    def test_two_columns_of_one_name_are_refused(self, postgres: PostgresClient) -> None:
        with pytest.raises(ValueError, match="names of their own"):
            postgres.read("SELECT 1 AS a, 2 AS a")

    def test_reading_cannot_change_anything(self, postgres: PostgresClient) -> None:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            postgres.read("SELECT lo_create(0) AS made")

    def test_two_hundred_thousand_rows_are_read_in_seconds(self, postgres: PostgresClient) -> None:
        started = time.monotonic()
        frame = postgres.read(
            "SELECT g AS a, 'unit ' || g AS b, g / 7.0::float8 AS c, now() AS d FROM generate_series(1, 200000) AS g"
        )
        assert frame.height == 200_000
        assert frame["c"][-1] == 200_000 / 7.0
        assert time.monotonic() - started < 10, "a row at a time would take longer"


class TestRoundTrip:
    @example(text=AWKWARD_TEXT, numbers=AWKWARD_NUMBERS)
    @given(
        text=st.lists(
            st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=8
        ),
        numbers=st.lists(st.none() | st.floats(allow_nan=False), max_size=8),
    )
    @hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_text_and_floats_come_back_bit_for_bit(
        self, postgres: PostgresClient, text: list[str | None], numbers: list[float | None]
    ) -> None:
        height = max(len(text), len(numbers))
        frame = pl.DataFrame(
            {
                "tenant_id": ["acme"] * height,
                "experiment": ["e"] * height,
                "check_name": [f"{row:03d}" for row in range(height)],
                "blocking": [True] * height,
                "detail": pl.Series(text + [None] * (height - len(text)), dtype=pl.String),
                "p_value": pl.Series(numbers + [None] * (height - len(numbers)), dtype=pl.Float64),
                "provenance_id": ["p"] * height,
            }
        )
        postgres.replace_partition("experiments.health", frame, PARTITION)
        back = postgres.read("SELECT detail, p_value FROM experiments.health ORDER BY check_name")
        assert back["detail"].to_list() == frame["detail"].to_list()
        assert bits(back["p_value"].to_list()) == bits(frame["p_value"].to_list())

    def test_times_flags_and_json_come_back_as_they_went(self, postgres: PostgresClient) -> None:
        frame = pl.DataFrame(
            {
                "check_name": ["a", "b", "c"],
                "passed": [True, False, None],
                "blocking": [False, True, True],
                "observed": ['{"text": "a\\"b\\\\ \\n é", "n": [1, 2.5, null]}', None, '"only a string"'],
                "provenance_id": ["p"] * 3,
            }
        )
        postgres.replace_partition("experiments.health", frame, PARTITION)
        back = postgres.read("SELECT passed, blocking, observed FROM experiments.health ORDER BY check_name")
        assert back["passed"].to_list() == [True, False, None]
        assert back["blocking"].to_list() == [False, True, True]
        assert back["observed"].str.json_path_match("$.text").to_list()[0] == 'a"b\\ \n é'
        assert back["observed"].to_list()[1:] == [None, '"only a string"']

        elsewhere = events("t1").with_columns(pl.col("occurred_at").dt.convert_time_zone("Asia/Kolkata"))
        postgres.append("raw.events", elsewhere.with_columns(pl.col("occurred_at").dt.cast_time_unit("ns")))
        assert postgres.read("SELECT occurred_at FROM raw.events WHERE event_id = 't1'").item() == NOON

    def test_small_floats_and_categories_keep_their_value(self, postgres: PostgresClient) -> None:
        frame = scores({"a": 0.1}).with_columns(pl.col("score").cast(pl.Float32), pl.col("metric").cast(pl.Categorical))
        postgres.replace_partition(SCORES, frame, PARTITION)
        assert postgres.read(f"SELECT metric, score FROM {SCORES}").row(0) == (
            "m",
            struct.unpack("f", struct.pack("f", 0.1))[0],
        )

    @pytest.mark.parametrize(
        "column",
        [
            pl.Series([[1]]),
            pl.Series([{"a": 1}]),
            pl.Series([b"x"]),
            pl.Series([dt.timedelta(1)]),
            pl.Series([dt.datetime(2024, 1, 1)]),
        ],
    )
    def test_a_column_without_a_form_in_postgres_is_refused(self, postgres: PostgresClient, column: pl.Series) -> None:
        with pytest.raises(TypeError, match="score"):
            postgres.replace_partition(SCORES, scores({"a": 1.0}).with_columns(score=column), PARTITION)


class TestReplacePartition:
    def test_only_the_partition_is_replaced(self, postgres: PostgresClient) -> None:
        postgres.replace_partition(SCORES, scores({"a": 1.0, "b": 2.0}), PARTITION)
        postgres.replace_partition(SCORES, scores({"a": 9.0}), {**PARTITION, "experiment": "other"})
        postgres.replace_partition(SCORES, scores({"a": 8.0}), {**PARTITION, "tenant_id": "globex"})
        assert postgres.replace_partition(SCORES, scores({"c": 3.0}), PARTITION) == 1
        rows = postgres.fetch_all(f"SELECT tenant_id, experiment, unit_id, score FROM {SCORES} ORDER BY score")
        assert rows == [("acme", "e", "c", 3.0), ("globex", "e", "a", 8.0), ("acme", "other", "a", 9.0)]

    def test_an_empty_frame_empties_the_partition(self, postgres: PostgresClient) -> None:
        postgres.replace_partition(SCORES, scores({"a": 1.0}), PARTITION)
        assert postgres.replace_partition(SCORES, scores({}), PARTITION) == 0
        assert postgres.fetch_one(f"SELECT count(*) FROM {SCORES}") == (0,)

    def test_a_row_outside_the_partition_is_refused_before_anything_happens(self, postgres: PostgresClient) -> None:
        postgres.replace_partition(SCORES, scores({"a": 1.0}), PARTITION)
        stray = scores({"b": 2.0, "c": 3.0}).with_columns(tenant_id=pl.Series(["acme", "globex"]))
        with pytest.raises(ValueError, match=r"1 rows .* lie outside .* 'globex'"):
            postgres.replace_partition(SCORES, stray, PARTITION)
        with pytest.raises(ValueError, match="at least one key"):
            postgres.replace_partition(SCORES, stray, {})
        assert postgres.fetch_all(f"SELECT unit_id FROM {SCORES}") == [("a",)]

    def test_a_null_key_means_the_rows_where_it_is_null(self, postgres: PostgresClient) -> None:
        def row(segment: str | None, effect: float) -> pl.DataFrame:
            return pl.DataFrame(
                {
                    "metric": "m",
                    "segment": pl.Series([segment], dtype=pl.String),
                    "variant": "b",
                    "control": "a",
                    "method": "econml_linear_dml",
                    "status": "ok",
                    "n": 1,
                    "n_control": 1,
                    "effect": effect,
                    "provenance_id": "p",
                }
            )

        table = "estimates.segment_effects"
        postgres.replace_partition(table, row("x=1", 1.0), {**PARTITION, "segment": "x=1"})
        postgres.replace_partition(table, row(None, 2.0), {**PARTITION, "segment": None})
        postgres.replace_partition(table, row(None, 3.0), {**PARTITION, "segment": None})
        assert postgres.fetch_all(f"SELECT segment, effect FROM {table} ORDER BY effect") == [
            ("x=1", 1.0),
            (None, 3.0),
        ]

    def test_nothing_changes_when_a_row_breaks_a_constraint(self, postgres: PostgresClient) -> None:
        postgres.replace_partition(SCORES, scores({"a": 1.0}), PARTITION)
        before = postgres.content_hash(SCORES)
        twice = pl.concat([scores({"b": 2.0}), scores({"b": 2.0})])
        with pytest.raises(psycopg.errors.UniqueViolation):
            postgres.replace_partition(
                SCORES, twice, PARTITION, {"provenance_id": "lost", "tenant_id": "acme", "asset": "a"}
            )
        assert postgres.content_hash(SCORES) == before
        assert postgres.fetch_one("SELECT count(*) FROM ops.provenance WHERE provenance_id = 'lost'") == (0,)

    def test_nothing_changes_when_the_copy_itself_fails(self, postgres: PostgresClient) -> None:
        postgres.replace_partition(SCORES, scores({"a": 1.0}), PARTITION)
        before = postgres.content_hash(SCORES)
        broken = scores({"b": 2.0}).with_columns(unit_id=pl.lit("nul \0 in text"))
        with pytest.raises(psycopg.errors.DataError):
            postgres.replace_partition(SCORES, broken, PARTITION)
        assert postgres.content_hash(SCORES) == before

    def test_nothing_changes_when_the_connection_is_killed_half_way(
        self, postgres: PostgresClient, database: Settings
    ) -> None:
        postgres.replace_partition(SCORES, scores({"a": 1.0}), PARTITION)
        before = postgres.content_hash(SCORES)
        with pytest.raises(psycopg.OperationalError), postgres.transaction() as transaction:
            transaction.replace_partition(SCORES, scores({"b": 2.0}), PARTITION)
            with connect(database.admin_address(), autocommit=True) as admin:
                process_id = transaction.connection.info.backend_pid
                admin.execute("SELECT pg_terminate_backend(%s, 5000)", (process_id,))
            transaction.replace_partition(SCORES, scores({"c": 3.0}), PARTITION)
        assert postgres.content_hash(SCORES) == before

    def test_readers_see_the_old_partition_until_the_new_one_is_whole(self, postgres: PostgresClient) -> None:
        postgres.replace_partition(SCORES, scores({"a": 1.0}), PARTITION)
        with postgres.transaction() as transaction:
            transaction.replace_partition(SCORES, scores({"b": 2.0}), PARTITION)
            assert postgres.fetch_all(f"SELECT unit_id FROM {SCORES}") == [("a",)]
        assert postgres.fetch_all(f"SELECT unit_id FROM {SCORES}") == [("b",)]

    def test_two_writers_of_one_partition_leave_the_rows_of_one(self, postgres: PostgresClient) -> None:
        many = [scores({f"{writer}-{unit}": float(writer) for unit in range(500)}) for writer in range(4)]
        writers = [
            threading.Thread(target=postgres.replace_partition, args=(SCORES, frame, PARTITION)) for frame in many
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert postgres.fetch_one(f"SELECT count(*), count(DISTINCT score) FROM {SCORES}") == (500, 1)

    def test_provenance_is_written_with_the_rows_and_never_rewritten(self, postgres: PostgresClient) -> None:
        made = {
            "provenance_id": str(uuid.uuid4()),
            "tenant_id": "acme",
            "asset": "twins/prognostic_scores",
            "partition_key": "acme|e",
            "input_versions": {"features/covariates": "1"},
            "known_at": NOON,
            "seed": 7,
        }
        for run in ("first", "second"):
            postgres.replace_partition(SCORES, scores({"a": 1.0}), PARTITION, {**made, "run_id": run})
        rows = postgres.fetch_all(
            "SELECT run_id, input_versions, known_at, seed FROM ops.provenance WHERE provenance_id = %s",
            (made["provenance_id"],),
        )
        assert rows == [("first", {"features/covariates": "1"}, NOON, 7)]


class TestAppend:
    def test_a_record_that_is_there_already_or_twice_in_the_frame_is_a_duplicate(
        self, postgres: PostgresClient
    ) -> None:
        assert postgres.append("raw.events", events("a", "b", "a", source="twice")) == AppendResult(2, 1)
        assert postgres.append("raw.events", events("b", "c", source="twice")) == AppendResult(1, 1)
        assert postgres.append("raw.events", events("a", source="twice", tenant="globex")) == AppendResult(1, 0)
        assert postgres.append("raw.events", events()) == AppendResult(0, 0)

    def test_rows_are_numbered_in_the_order_of_the_frame(self, postgres: PostgresClient) -> None:
        names = [str(number * 7919 % 5000) for number in range(5000)]
        postgres.append("raw.events", events(*names, source="order"))
        stored = postgres.read("SELECT event_id FROM raw.events WHERE source = 'order' ORDER BY seq")
        assert stored["event_id"].to_list() == names

    def test_several_tables_are_appended_to_in_one_transaction_or_none(self, postgres: PostgresClient) -> None:
        with pytest.raises(psycopg.errors.NotNullViolation), postgres.transaction() as transaction:
            transaction.append("raw.events", events("a", source="both"))
            transaction.append("raw.assignments", events("a", source="both").with_columns(experiment=pl.lit("e")))
        assert postgres.fetch_one("SELECT count(*) FROM raw.events WHERE source = 'both'") == (0,)


class TestContentHash:
    ROWS: ClassVar = {"a": 1.0, "b": -0.0, "c": None, "d": 1e-300}

    def hash_of(self, postgres: PostgresClient, values: dict[str, float | None], provenance: str = "p") -> str:
        frame = scores(values).with_columns(provenance_id=pl.lit(provenance))
        postgres.replace_partition(SCORES, frame, PARTITION)
        return postgres.content_hash(SCORES, PARTITION)

    def test_the_order_of_rows_does_not_matter(self, postgres: PostgresClient) -> None:
        turned = dict(reversed(self.ROWS.items()))
        assert self.hash_of(postgres, self.ROWS) == self.hash_of(postgres, turned)

    def test_how_the_rows_were_made_does_not_matter(self, postgres: PostgresClient) -> None:
        assert self.hash_of(postgres, self.ROWS, "p") == self.hash_of(postgres, self.ROWS, "q")

    @pytest.mark.parametrize(
        "change",
        [
            {"a": math.nextafter(1.0, 2.0)},
            {"b": 0.0},
            {"c": 0.0},
            {"c": math.nan},
            {"d": math.nextafter(1e-300, 1.0)},
            {"e": 1.0},
        ],
    )
    def test_a_change_of_one_bit_shows(self, postgres: PostgresClient, change: dict[str, float]) -> None:
        assert self.hash_of(postgres, self.ROWS) != self.hash_of(postgres, {**self.ROWS, **change})

    def test_values_that_change_places_show(self, postgres: PostgresClient) -> None:
        assert self.hash_of(postgres, {"a": 1.0, "b": 2.0}) != self.hash_of(postgres, {"a": 2.0, "b": 1.0})

    def test_a_row_that_is_there_twice_shows(self, postgres: PostgresClient) -> None:
        def quarantined(times: int) -> str:
            source = f"{times} times"
            frame = pl.DataFrame({"source": [source] * times, "code": "c", "reason": "r", "record": "{}"})
            frame = frame.with_columns(tenant_id=pl.lit("acme"))
            postgres.append("raw.quarantine", frame)
            return postgres.content_hash("raw.quarantine", {"source": source}, ["seq", "received_at", "source"])

        assert len({quarantined(times) for times in (1, 2, 3)}) == 3

    def test_null_and_empty_text_differ(self, postgres: PostgresClient) -> None:
        hashes = set()
        for detail in ("", None):
            frame = pl.DataFrame(
                {
                    "check_name": "a",
                    "blocking": True,
                    "detail": pl.Series([detail], dtype=pl.String),
                    "provenance_id": "p",
                }
            )
            postgres.replace_partition("experiments.health", frame, PARTITION)
            hashes.add(postgres.content_hash("experiments.health", PARTITION))
        assert len(hashes) == 2

    def test_an_empty_partition_has_a_hash_and_a_table_without_columns_none(self, postgres: PostgresClient) -> None:
        assert postgres.content_hash(SCORES, {"tenant_id": "nobody"}) == postgres.content_hash(
            SCORES, {"experiment": "x"}
        )
        with pytest.raises(ValueError, match="no column"):
            postgres.content_hash("registry.tenants", excluding=["tenant_id", "created_at"])


class TestNames:
    def test_only_stages_and_the_registry_take_the_prefix(self, postgres: PostgresClient) -> None:
        scratch = postgres.with_prefix("again_")
        assert scratch.table("estimates.adjusted_effects") == '"again_estimates"."adjusted_effects"'
        assert scratch.table("registry.experiments") == '"again_registry"."experiments"'
        assert scratch.table("raw.events") == '"raw"."events"'
        assert scratch.table("ops.provenance") == '"ops"."provenance"'
        assert postgres.table("estimates.adjusted_effects") == '"estimates"."adjusted_effects"'

    @pytest.mark.parametrize(
        "name", ["events", "public.events", 'raw.ev"ents', "raw.events; DROP", "pg_catalog.pg_class"]
    )
    def test_a_name_that_is_not_a_table_of_ours_is_refused(self, postgres: PostgresClient, name: str) -> None:
        with pytest.raises(ValueError, match="not a table of Causeway"):
            postgres.table(name)
        with pytest.raises(ValueError, match="prefix"):
            postgres.with_prefix("A b")


class TestScratchCopy:
    def test_a_scratch_copy_is_written_apart_and_leaves_nothing_behind(self, postgres: PostgresClient) -> None:
        postgres.replace_partition(SCORES, scores({"a": 1.0}), PARTITION)
        scratch = postgres.with_prefix("again_")
        scratch.create_scratch()
        try:
            assert scratch.content_hash(SCORES, PARTITION) != postgres.content_hash(SCORES, PARTITION)
            scratch.replace_partition(SCORES, scores({"a": 1.0}), PARTITION)
            assert scratch.content_hash(SCORES, PARTITION) == postgres.content_hash(SCORES, PARTITION)
            with pytest.raises(psycopg.errors.UniqueViolation):
                scratch.replace_partition(SCORES, pl.concat([scores({"a": 1.0})] * 2), PARTITION)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                postgres.scoped("acme", "causeway_api").fetch_one(f"SELECT 1 FROM {scratch.table(SCORES)}")
        finally:
            scratch.drop_scratch()
        left = postgres.fetch_all("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'again%%'", ())
        assert left == []
        assert postgres.fetch_one(f"SELECT score FROM {SCORES}") == (1.0,)

    def test_without_a_prefix_nothing_can_be_dropped(self, postgres: PostgresClient) -> None:
        with pytest.raises(ValueError, match="prefix"):
            postgres.drop_scratch()
        found = postgres.fetch_one("SELECT count(*) FROM pg_namespace WHERE nspname = ANY(%s)", (list(STAGES),))
        assert found == (len(STAGES),)

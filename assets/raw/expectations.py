"""What a landing must look like before anything is made of it, as a Great Expectations suite."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

MOST_QUARANTINED = 0.05


@dataclass(frozen=True)
class Expectation:
    """One expectation and whether the landing meets it."""

    name: str
    passed: bool
    observed: str


def validate(
    events: pl.DataFrame, assignments: pl.DataFrame, *, quarantined: int, landed_at: datetime
) -> Sequence[Expectation]:
    """Hold the records of one landing against the suite.

    There is something in it, ids are there and unique, units and types are there, nothing happened after it was
    landed, and at most 5 % of its rows had to be refused.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    columns = ["event_id", "type", "unit_id", "occurred_at"]
    records = pl.concat([events.select(columns), assignments.select(columns)])
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("landing")
    expect = gx.expectations
    suites: dict[str, tuple[pl.DataFrame, list[Any]]] = {
        "records": (
            records,
            [
                expect.ExpectTableRowCountToBeBetween(min_value=1),
                *(expect.ExpectColumnValuesToNotBeNull(column=column) for column in columns),
                expect.ExpectColumnValuesToBeBetween(
                    column="occurred_at", max_value=landed_at.replace(tzinfo=None) + timedelta(days=1)
                ),
            ],
        ),
        "events": (events.select("event_id"), [expect.ExpectColumnValuesToBeUnique(column="event_id")]),
        "assignments": (
            assignments.select("event_id", "variant"),
            [
                expect.ExpectColumnValuesToBeUnique(column="event_id"),
                expect.ExpectColumnValuesToNotBeNull(column="variant"),
            ],
        ),
        "landing": (
            pl.DataFrame({"share_quarantined": [quarantined / max(1, quarantined + records.height)]}),
            [expect.ExpectColumnMaxToBeBetween(column="share_quarantined", max_value=MOST_QUARANTINED)],
        ),
    }
    found = []
    for name, (frame, expectations) in suites.items():
        naive = (
            frame.with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None))
            if "occurred_at" in frame.columns
            else frame
        )
        batch = (
            source.add_dataframe_asset(name)
            .add_batch_definition_whole_dataframe("all")
            .get_batch(batch_parameters={"dataframe": naive.to_pandas()})
        )
        result = batch.validate(gx.ExpectationSuite(name=name, expectations=expectations))
        for each in result.results:
            column = each.expectation_config.kwargs.get("column", "")
            found.append(
                Expectation(
                    f"{each.expectation_config.type}({name}{'.' + column if column else ''})",
                    bool(each.success),
                    str(each.result.get("observed_value", f"{each.result.get('unexpected_count', 0)} unexpected")),
                )
            )
    return found

"""The units of one study of a KPI: their effects, their segments, and what treating them costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from assets import declared
from assets.partitions import split
from assets.study_frames import study_frame, unit_column
from causeway.actions.gaps import Terms, Verdict
from causeway.actions.units import ScoredUnits
from causeway.declarations.kpi import KpiDeclaration
from causeway.declarations.study import StudyDeclaration
from resources.postgres import PostgresResource

MISSING = "(missing)"
MOST_SEGMENTS = 100
_NEEDED = ("score", "propensity", "treated", "outcome")


@dataclass(frozen=True)
class KpiUnits:
    """What the gaps of one study are made from.

    segments: names, sorted; levels: of each segment, by column. left_out: units without a score or a cost.
    """

    study: str
    verdict: Verdict
    units: ScoredUnits
    segments: Sequence[str]
    levels: Sequence[Mapping[str, str]]
    left_out: int


def kpi_units(postgres: PostgresResource, kpi: KpiDeclaration, study: str) -> KpiUnits:
    """The study's units in the order of unit_id. ValueError for more than MOST_SEGMENTS segments."""
    partition_key = f"{kpi.tenant}|{study}"
    declaration = declared.study(postgres, partition_key)
    clusters = declaration.clusters
    client = postgres.client()
    effects = client.read(
        "SELECT unit_id, effect, score, propensity, treated, outcome, extrapolated"
        f" FROM {client.table('estimates.unit_effects')} WHERE tenant_id = %s AND study = %s"
        ' ORDER BY unit_id COLLATE "C"',
        split(partition_key),
    )
    verdict = _verdict(postgres, partition_key)
    wanted = list(dict.fromkeys([*kpi.columns, *([clusters] if clusters else [])]))
    frame = effects.join(
        segment_columns(postgres, partition_key, declaration, wanted), on="unit_id", how="left", maintain_order="left"
    )
    cost = pl.col(kpi.cost).cast(pl.Float64, strict=False) if isinstance(kpi.cost, str) else pl.lit(float(kpi.cost))
    levels = [pl.col(column).cast(pl.String).fill_null(MISSING) for column in kpi.segments]
    frame = frame.with_columns(_cost=cost, _segment=pl.concat_str(levels, separator=", "))
    named = frame.select("_segment", *(level.alias(f"_level_{at}") for at, level in enumerate(levels))).unique()
    named = named.sort("_segment")
    if named.height > MOST_SEGMENTS:
        raise ValueError(
            f"kpi {kpi.key}: {named.height} segments by {', '.join(kpi.segments)}; at most {MOST_SEGMENTS}"
        )
    names = named["_segment"].to_list()
    # Of a study that is withheld the counts alone are shown, for which no score is needed.
    kept = frame if verdict == "withheld" else frame.drop_nulls([*_NEEDED, "_cost"])
    return KpiUnits(
        study=study,
        verdict=verdict,
        units=_units(kept, names, clusters, withheld=verdict == "withheld"),
        segments=names,
        levels=[
            {column: row[f"_level_{at}"] for at, column in enumerate(kpi.segments)}
            for row in named.iter_rows(named=True)
        ],
        left_out=frame.height - kept.height,
    )


def segment_columns(
    postgres: PostgresResource, partition_key: str, study: StudyDeclaration, columns: Sequence[str]
) -> pl.DataFrame:
    """unit_id and the named columns of a study as text, whole numbers without a decimal point."""
    frame = study_frame(postgres, partition_key, study)
    text = [pl.col(column).cast(pl.String).str.replace(r"^(-?\d+)\.0+$", "$1") for column in columns]
    return frame.select(pl.col(unit_column(study)).alias("unit_id"), *text)


def terms_of(kpi: KpiDeclaration, segments: Sequence[str]) -> dict[str, Terms]:
    """What each segment allows and costs."""
    return {
        segment: Terms(
            capacity=kpi.capacity.get(segment) if isinstance(kpi.capacity, dict) else kpi.capacity,
            fixed_cost=_by_segment(kpi.fixed_cost, segment, 0.0),
            minimum_share=_by_segment(kpi.minimum_share, segment, 0.0),
            maximum_share=_by_segment(kpi.maximum_share, segment, 1.0),
        )
        for segment in segments
    }


def _by_segment(declared_: float | dict[str, float], segment: str, default: float) -> float:
    return declared_.get(segment, default) if isinstance(declared_, dict) else declared_


def _verdict(postgres: PostgresResource, partition_key: str) -> Verdict:
    """Of the study on everybody; one that was never judged is withheld."""
    client = postgres.client()
    rows = client.fetch_all(
        f"SELECT DISTINCT verdict FROM {client.table('estimates.study_effects')}"
        " WHERE tenant_id = %s AND study = %s AND segment = ''",
        split(partition_key),
    )
    found = {str(verdict) for (verdict,) in rows}
    if not found or not found <= {"credible", "caution"}:
        return "withheld"
    return "caution" if "caution" in found else "credible"


def _units(frame: pl.DataFrame, names: Sequence[str], clusters: str | None, *, withheld: bool) -> ScoredUnits:
    at = {name: index for index, name in enumerate(names)}
    numbers = {name: np.zeros(frame.height) for name in ("score", "effect", "propensity", "outcome", "cost")}
    if not withheld:
        numbers = {name: frame[name].to_numpy() for name in ("score", "propensity", "outcome")}
        # Where no unit has an effect of its own, all have that of everybody.
        mean = float(numbers["score"].mean()) if frame.height else 0.0
        numbers["effect"] = frame["effect"].fill_null(mean).to_numpy()
        numbers["cost"] = frame["_cost"].to_numpy()
    return ScoredUnits(
        **{name: np.array(column, dtype=np.float64) for name, column in numbers.items()},
        treated=frame["treated"].fill_null(False).cast(pl.Boolean).to_numpy().astype(np.bool_),
        extrapolated=frame["extrapolated"].fill_null(False).cast(pl.Boolean).to_numpy().astype(np.bool_),
        segment=np.array([at[name] for name in frame["_segment"]], dtype=np.int64),
        clusters=None if clusters is None else np.unique(frame[clusters].fill_null(MISSING), return_inverse=True)[1],
    )

"""What the routes of KPIs give."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

KpiStatus = Literal["ok", "withheld", "pending"]
Verdict = Literal["credible", "caution", "withheld"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Interval(_Answer):
    """A number with its 95 % interval; null where it is not defined."""

    value: float | None
    ci_low: float | None
    ci_high: float | None


class SegmentGap(_Answer):
    """One segment; every number but the counts is null unless status is ok."""

    study: str = Field(description="The study whose treatment would close the gap.")
    segment: str
    levels: dict[str, str]
    verdict: Verdict
    status: str
    reasons: list[Any]
    n: int
    n_treated: int
    n_to_treat: int
    extrapolated_share: float | None
    actual: float | None = Field(description="Mean outcome today, as observed.")
    effect: Interval = Field(description="On one unit that is not treated today.")
    simultaneous: Interval = Field(description="The same with the interval that holds for all segments at once.")
    shrunk_effect: Interval = Field(description="Shrunk towards the other segments: what to expect after choosing.")
    everyone: Interval = Field(description="Mean outcome if all were treated.")
    nobody: Interval = Field(description="Mean outcome if none were.")
    units_reachable: int | None
    reachable: Interval = Field(description="Mean outcome if the affordable share were treated.")
    gap: Interval = Field(description="Reachable less actual, in units of the outcome.")
    gap_value: Interval = Field(description="Worth of the gap over all units, in money.")
    expected_value: float | None = Field(description="The same by the shrunk effect.")
    cost_per_unit: float | None
    cost: float | None
    net_value: Interval
    roi: Interval = Field(description="Net value divided by cost.")
    roi_status: str | None
    provenance_id: str | None


class KpiGaps(_Answer):
    """Segments of a KPI against what they could have."""

    kpi: str
    tenant: str
    status: KpiStatus = Field(description="withheld: every study is; pending: nothing is materialised yet.")
    segments: list[SegmentGap]
    snapshot_id: str = Field(description="Changes when, and only when, the answer changes.")


class RankedSegment(_Answer):
    """The place of one segment by one measure."""

    study: str
    segment: str
    verdict: Verdict
    rank: int = Field(description="1 is best, by shrunk numbers.")
    low: int = Field(description="Best place that the data leave open, for all segments at once.")
    high: int = Field(description="Worst one.")
    tied_with: list[str] = Field(description="Segments that cannot be told apart from it.")
    probability_best: float | None


class KpiRanking(_Answer):
    """Segments in order."""

    kpi: str
    tenant: str
    status: KpiStatus
    by: dict[Literal["effect", "net_value", "roi"], list[RankedSegment]] = Field(
        description="In order within each study: by effect on a unit, by net value, by return on investment."
    )
    snapshot_id: str


class Allotment(_Answer):
    """What the plan gives one segment."""

    study: str
    segment: str
    opened: bool
    units: int | None
    share: float | None = Field(description="Of those not treated today.")
    cost: float | None
    expected_value: float | None
    lower_value: float | None
    provenance_id: str | None


class CurvePoint(_Answer):
    """The best plan at one budget; null where the constraints cannot be met."""

    budget: float
    cost: float | None
    net_value: float | None


class KpiAllocation(_Answer):
    """Who is to be treated."""

    kpi: str
    tenant: str
    status: Literal["ok", "time_limit", "infeasible", "unbounded", "no_units", "withheld", "pending"]
    conflict: list[str] = Field(description="Constraints that cannot be met together, none of which can be left out.")
    units: int | None
    cost: float | None
    expected_value: float | None
    lower_value: float | None = Field(description="Low end of the 95 % interval of the worth of all together.")
    net_value: float | None
    shadow_price: float | None = Field(description="What one more unit of budget would add.")
    binding: list[str] = Field(description="Constraints that are worth money to loosen.")
    settings: dict[str, Any]
    allocations: list[Allotment]
    curve: list[CurvePoint]
    snapshot_id: str

"""What a study's verdict is judged by: limits, and what passing one of them means."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causeway.declarations.declaration import DeclaredPart

Consequence = Literal["withhold", "caution", "ignore"]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class OverlapRule(DeclaredPart):
    """Units without a counterpart under the other treatment, as a share of those the effect is asked of."""

    caution: Share = Field(default=0.02, description="share above which the verdict is caution")
    withhold: Share = Field(default=0.10, description="share above which there is no number")


class BalanceRule(DeclaredPart):
    """Standardised differences between the arms after adjustment."""

    caution: Positive = Field(default=0.1, description="difference above which the verdict is caution")
    withhold: Positive = Field(default=0.25, description="difference above which there is no number")


class NegativeControlsRule(DeclaredPart):
    """Effects where there can be none. The levels are shared among the controls (Bonferroni)."""

    caution: Share = Field(default=0.05, description="p-value below which the verdict is caution")
    withhold: Share = Field(default=0.001, description="p-value below which there is no number")


class RefutationsRule(DeclaredPart):
    """Attempts to break the estimate."""

    then: Consequence = Field(default="caution", title="consequence", description="withhold, caution or ignore")


class InstabilityRule(DeclaredPart):
    """How far the effect moves from one split of the units to another, in standard errors."""

    max_spread: Positive = Field(default=1 / 3, description="largest that is fine")
    then: Consequence = Field(default="caution", title="consequence", description="withhold, caution or ignore")


class WeakInstrumentRule(DeclaredPart):
    """The instruments' strength: the F statistic of the first stage, or what it is effectively."""

    caution: Positive = Field(default=23.1, description="F below which the verdict is caution")
    withhold: Annotated[float, Field(ge=0)] = Field(default=5.0, description="F below which there is no number")


class ClustersIgnoredRule(DeclaredPart):
    """Treatment that comes in groups which the study does not declare."""

    then: Consequence = Field(default="caution", title="consequence", description="withhold, caution or ignore")


class PostTreatmentRule(DeclaredPart):
    """A confounder that the treatment may have changed, by the graph or by the look of it."""

    by_graph: Consequence = Field(default="caution", title="consequence", description="withhold, caution or ignore")
    by_look: Consequence = Field(default="caution", title="consequence", description="withhold, caution or ignore")


class ExtrapolationRule(DeclaredPart):
    """Predicted outcomes beyond all that were observed under that treatment, as a share of all predictions."""

    max_share: Share = Field(default=0.02, description="largest that is fine")
    then: Consequence = Field(default="caution", title="consequence", description="withhold, caution or ignore")


class LeftOutRule(DeclaredPart):
    """Rows that could not be used, as a share of all, and of one arm more than of the other."""

    max_share: Share = Field(default=0.20, description="largest that is fine")
    max_difference: Share = Field(default=0.05, description="largest difference between the arms that is fine")
    then: Consequence = Field(default="caution", title="consequence", description="withhold, caution or ignore")


class StudyRules(DeclaredPart):
    """Rules of the verdict; what is not declared has its usual value."""

    overlap: OverlapRule = OverlapRule()
    balance: BalanceRule = BalanceRule()
    negative_controls: NegativeControlsRule = NegativeControlsRule()
    refutations: RefutationsRule = RefutationsRule()
    instability: InstabilityRule = InstabilityRule()
    weak_instrument: WeakInstrumentRule = WeakInstrumentRule()
    clusters_ignored: ClustersIgnoredRule = ClustersIgnoredRule()
    post_treatment: PostTreatmentRule = PostTreatmentRule()
    extrapolation: ExtrapolationRule = ExtrapolationRule()
    left_out: LeftOutRule = LeftOutRule()

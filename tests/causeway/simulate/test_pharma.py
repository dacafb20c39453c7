"""The pharma world: what landed agrees with the truth that came with it."""

import datetime as dt
import json
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.landing.records import ASSIGNMENTS_SCHEMA, EVENTS_SCHEMA
from causeway.simulate import WORLDS, SimulatedWorld, pharma_world
from causeway.statistics.sample_ratio import sample_ratio_test

WORLD_COUNT = 200
CONFOUNDERS = ("disease_severity", "age", "commercially_insured")

Measured = Callable[[SimulatedWorld, str], pl.DataFrame]
Declared = Callable[[str], dict[str, ExperimentDeclaration]]


def property_of(name: str) -> pl.Expr:
    return pl.col("properties").str.json_path_match(f"$.{name}")


@pytest.fixture(scope="module")
def world() -> SimulatedWorld:
    return pharma_world()


@pytest.fixture(scope="module")
def errors(measured: Measured) -> pl.DataFrame:
    """Estimate minus truth, one row per small world and one column per question."""
    rows = []
    for seed in range(WORLD_COUNT):
        small = pharma_world(seed, hcps=100, patients=300)
        row: dict[str, float] = {}
        for experiment in ("rep_trigger", "aa_check"):
            frame = measured(small, experiment)
            for true in small.truth.experiments[experiment].effects:
                if true.segment is None:
                    name, inside = f"{experiment} {true.metric}", frame
                elif true.segment in ("priority_tier=tier_1", "specialty=dermatology"):
                    column, level = true.segment.split("=")
                    name, inside = (
                        f"{experiment} {true.metric} {true.segment}",
                        frame.filter(pl.col(column) == level),
                    )
                else:
                    continue
                treated = inside.filter(pl.col("variant") == true.variant)[true.metric].mean()
                control = inside.filter(pl.col("variant") == true.control)[true.metric].mean()
                # In a small world a segment may have an empty arm; the claim is about the others.
                if treated is not None and control is not None:
                    row[name] = treated - control - true.effect
                    row[f"{name} control mean"] = control - true.mean_control
        row |= study_errors(small)
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def study_errors(small: SimulatedWorld) -> dict[str, float]:
    truth = small.truth.studies["engagement_initiation"]
    treated, outcome, confounders = study_columns(small)
    design = np.column_stack([np.ones(len(treated)), treated, confounders])
    complete = ~np.isnan(design).any(axis=1)
    adjusted = np.linalg.lstsq(design[complete], outcome[complete], rcond=None)[0][1]
    naive = outcome[treated == 1].mean() - outcome[treated == 0].mean()
    return {"study adjusted": adjusted - truth.ate, "study naive": naive - truth.naive_difference}


def study_columns(world: SimulatedWorld) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Treatment, outcome and the matrix of confounders, nan where missing."""
    rows = world.events.filter(pl.col("type") == "patient_journey")

    def column(name: str) -> np.ndarray:
        return rows.select(property_of(name).cast(pl.Float64)).to_series().to_numpy()

    confounders = np.column_stack([column(name) for name in CONFOUNDERS])
    return column("engaged"), column("treatment_initiated"), confounders


def test_same_seed_gives_the_same_world_and_another_seed_another(world: SimulatedWorld) -> None:
    again = pharma_world()
    assert again.events.equals(world.events)
    assert again.assignments.equals(world.assignments)
    assert again.truth == world.truth
    assert not pharma_world(2, hcps=1000).assignments.equals(world.assignments)


def test_more_patients_leave_everything_about_the_hcps_as_it_was() -> None:
    few, many = pharma_world(hcps=80, patients=100), pharma_world(hcps=80, patients=900)
    assert few.assignments.equals(many.assignments)
    assert few.truth.experiments == many.truth.experiments
    of_hcps = pl.col("unit_id").str.starts_with("hcp_")
    apart_from_the_patient = pl.exclude("properties")
    assert (
        few.events.filter(of_hcps)
        .select(apart_from_the_patient)
        .equals(many.events.filter(of_hcps).select(apart_from_the_patient))
    )
    calls_and_emails = pl.col("type").is_in(["call", "email"])
    assert few.events.filter(calls_and_emails).equals(many.events.filter(calls_and_emails))


def test_scale_multiplies_the_units() -> None:
    for scale, hcps, patients in ((1.0, 40, 200), (2.5, 100, 500)):
        profiles = pharma_world(scale=scale, hcps=40, patients=200).events.filter(pl.col("type") == "profile")
        assert profiles["unit_id"].str.starts_with("hcp_").sum() == hcps
        assert profiles["unit_id"].str.starts_with("pat_").sum() == patients


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scale_that_is_no_positive_number_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must be a positive number"):
        pharma_world(scale=scale)


def test_default_worlds_have_the_promised_units_and_under_250_000_events(
    world: SimulatedWorld,
) -> None:
    profiles = world.events.filter(pl.col("type") == "profile")
    assert profiles["unit_id"].str.starts_with("hcp_").sum() == 1000
    assert profiles["unit_id"].str.starts_with("pat_").sum() == 5000
    assert world.events.height + WORLDS["planner"]().events.height < 250_000


def test_records_have_the_schema_of_landed_records_and_sensible_times(world: SimulatedWorld) -> None:
    assert list(world.events.schema.items()) == list(EVENTS_SCHEMA.items())
    assert list(world.assignments.schema.items()) == list(ASSIGNMENTS_SCHEMA.items())
    for frame in (world.events, world.assignments):
        assert frame["occurred_at"].is_sorted()
        assert (frame["sent_at"] >= frame["occurred_at"]).all()
        assert frame["event_id"].is_unique().all()
        assert sum(frame.null_count().row(0)) == 0
    assert world.assignments["type"].unique().to_list() == ["assignment"]


def test_some_records_are_sent_late_and_out_of_order(world: SimulatedWorld) -> None:
    late = (world.events["sent_at"] - world.events["occurred_at"]) > dt.timedelta(hours=2)
    assert 0.01 < late.mean() < 0.03
    assert not world.events["sent_at"].is_sorted()


def test_properties_are_json_objects_and_every_patient_and_hcp_in_them_exists(world: SimulatedWorld) -> None:
    known = set(world.events.filter(pl.col("type") == "profile")["unit_id"])
    assert set(world.events["unit_id"]) == known
    assert set(world.assignments["unit_id"]) <= known
    for properties in world.events["properties"]:
        parsed = json.loads(properties)
        assert isinstance(parsed, dict)
        assert {parsed[name] for name in ("hcp_id", "patient_id") if parsed.get(name)} <= known


def test_prescriptions_are_for_patients_of_the_prescribing_hcp(world: SimulatedWorld) -> None:
    treating = world.events.filter(pl.col("event_id").str.starts_with("patient_profile")).select(
        patient_id="unit_id", hcp_id=property_of("hcp_id"), brand=property_of("brand")
    )
    prescriptions = world.events.filter(pl.col("type") == "prescription").select(
        "unit_id", patient_id=property_of("patient_id"), prescribed=property_of("brand")
    )
    joined = prescriptions.join(treating, on="patient_id")
    assert joined.height == prescriptions.height
    assert (joined["unit_id"] == joined["hcp_id"]).all()
    assert (joined["prescribed"] == joined["brand"]).all()


def test_profiles_come_before_everything_and_prescriptions_before_every_trial(world: SimulatedWorld) -> None:
    profile = pl.col("type") == "profile"
    others = world.events.filter(~profile)
    assert world.events.filter(profile)["occurred_at"].max() < others["occurred_at"].min()
    assert others["occurred_at"].max() < dt.datetime(2024, 12, 31, tzinfo=dt.UTC)
    for _, unit_days in world.assignments.group_by("experiment"):
        first = unit_days["occurred_at"].min()
        assert others.filter(pl.col("type") == "prescription", pl.col("occurred_at") < first).height > 2000


def test_counts_are_skewed_seasonal_and_some_values_are_missing(world: SimulatedWorld) -> None:
    prescriptions = world.events.filter(pl.col("type") == "prescription", pl.col("occurred_at").dt.month() <= 6)
    per_hcp = prescriptions.group_by("unit_id").len()["len"].to_numpy()
    assert per_hcp.var() > 2 * per_hcp.mean()
    calls = world.events.filter(pl.col("type") == "call")
    by_month = calls.group_by(pl.col("occurred_at").dt.month()).len().sort("occurred_at")["len"].to_numpy()
    assert by_month[3:6].mean() > 1.25 * by_month[[9, 10]].mean()
    weekend = calls["occurred_at"].dt.weekday().is_in([6, 7]).mean()
    assert 0.02 < weekend < 0.10
    for event_type, name in (
        ("profile", "patient_volume"),
        ("patient_journey", "disease_severity"),
        ("call", "duration_minutes"),
        ("treatment_event", "cost"),
    ):
        rows = world.events.filter(pl.col("type") == event_type, pl.col("properties").str.contains(f'"{name}"'))
        assert 0.005 < rows["properties"].str.contains(f'"{name}":null').mean() < 0.10


def test_earlier_prescriptions_predict_later_ones(world: SimulatedWorld, measured: Measured) -> None:
    units = measured(world, "rep_trigger")
    assigned = world.assignments.filter(pl.col("experiment") == "rep_trigger").select("unit_id", at="occurred_at")
    before = (
        world.events.filter(pl.col("type") == "prescription")
        .join(assigned, on="unit_id")
        .filter(
            pl.col("occurred_at") < pl.col("at"),
            pl.col("occurred_at") >= pl.col("at") - pl.duration(days=180),
        )
        .group_by("unit_id")
        .len("before")
    )
    control = units.filter(pl.col("variant") == "no_trigger").join(before, on="unit_id", how="left")
    correlation = control.select(pl.corr(pl.col("before").fill_null(0), "prescriptions")).item()
    assert correlation > 0.6


def test_difference_in_means_is_unbiased_for_the_truth_over_many_worlds(errors: pl.DataFrame) -> None:
    for question in errors.columns:
        error = errors[question].drop_nulls().to_numpy()
        monte_carlo_error = error.std(ddof=1) / np.sqrt(len(error))
        assert len(error) > 0.9 * WORLD_COUNT, question
        assert abs(error.mean()) < 3 * monte_carlo_error, (question, error.mean(), monte_carlo_error)


def test_effects_are_large_enough_for_the_recovery_test_to_notice_their_absence(errors: pl.DataFrame) -> None:
    truth = pharma_world(0, hcps=100, patients=300).truth
    for metric in ("prescriptions", "prescribed_units", "adopted"):
        monte_carlo_error = errors[f"rep_trigger {metric}"].std() / np.sqrt(WORLD_COUNT)
        assert truth.experiments["rep_trigger"].find(metric, "trigger").effect > 8 * monte_carlo_error


def test_trigger_works_best_for_dermatologists_and_the_first_tier(world: SimulatedWorld) -> None:
    truth = world.truth.experiments["rep_trigger"]
    effect = {true.segment: true.effect for true in truth.effects if true.metric == "prescriptions"}
    assert effect["specialty=dermatology"] > effect["specialty=allergy"] > effect["specialty=oncology"]
    assert effect["priority_tier=tier_1"] > effect["priority_tier=tier_2"] > effect["priority_tier=tier_3"]


def test_every_true_effect_of_the_aa_check_is_zero_and_its_arms_look_alike(
    world: SimulatedWorld, measured: Measured
) -> None:
    assert {true.effect for true in world.truth.experiments["aa_check"].effects} == {0.0}
    frame = measured(world, "aa_check")
    for metric in ("prescriptions", "calls"):
        a, b = (frame.filter(pl.col("variant") == arm)[metric].to_numpy() for arm in "ab")
        assert abs(b.mean() - a.mean()) < 3 * np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))


@pytest.mark.parametrize(
    ("experiment", "intact"), [("rep_trigger", True), ("aa_check", True), ("email_cadence", False)]
)
def test_only_the_broken_log_fails_the_sample_ratio_test(
    world: SimulatedWorld, declared: Declared, experiment: str, intact: bool
) -> None:
    log = world.assignments.filter(pl.col("experiment") == experiment)
    counts = dict(log["variant"].value_counts().iter_rows())
    p_value = sample_ratio_test(counts, declared("experiments")[experiment].variants).p_value
    assert p_value is not None
    assert world.truth.experiments[experiment].log_is_complete is intact
    assert p_value > 0.01 if intact else p_value < 1e-6


def test_lost_rows_bias_what_is_left_of_the_broken_trial(world: SimulatedWorld, measured: Measured) -> None:
    frame = measured(world, "email_cadence")
    means = dict(frame.group_by("variant").agg(pl.col("email_opens").mean()).iter_rows())
    truth = world.truth.experiments["email_cadence"].find("email_opens", "weekly")
    arm = frame.filter(pl.col("variant") == "weekly")["email_opens"].to_numpy()
    assert means["weekly"] - means["monthly"] > truth.effect + 2 * arm.std() / np.sqrt(len(arm))


def test_severity_confounds_the_study_by_more_than_three_standard_errors(world: SimulatedWorld) -> None:
    truth = world.truth.studies["engagement_initiation"]
    treated, outcome, _ = study_columns(world)
    arms = [outcome[treated == value] for value in (1, 0)]
    standard_error = np.sqrt(sum(arm.var(ddof=1) / len(arm) for arm in arms))
    assert arms[0].mean() - arms[1].mean() - truth.ate > 3 * standard_error
    assert 0.3 < truth.treated_share < 0.6


def test_negative_control_outcome_is_confounded_but_not_affected(world: SimulatedWorld) -> None:
    treated, _, confounders = study_columns(world)
    rows = world.events.filter(pl.col("type") == "patient_journey")
    visits = rows.select(property_of("visits_last_year").cast(pl.Float64)).to_series().to_numpy()
    design = np.column_stack([np.ones(len(treated)), treated, confounders])
    complete = ~np.isnan(design).any(axis=1)
    design, visits = design[complete], visits[complete]
    naive = visits[design[:, 1] == 1].mean() - visits[design[:, 1] == 0].mean()
    coefficients, residual, *_ = np.linalg.lstsq(design, visits, rcond=None)
    variance = residual[0] / len(visits) * np.linalg.inv(design.T @ design)[1, 1]
    assert naive > 0.3
    assert abs(coefficients[1]) < 3 * np.sqrt(variance)


@pytest.mark.parametrize("experiment", ["rep_trigger", "email_cadence", "aa_check"])
def test_declaration_and_truth_speak_of_the_same_metrics_variants_and_segments(
    world: SimulatedWorld, declared: Declared, experiment: str
) -> None:
    declaration = declared("experiments")[experiment]
    effects = world.truth.experiments[experiment].effects
    assert declaration.tenant == world.tenant
    assert {true.metric for true in effects} == {metric.key for metric in declaration.metrics}
    assert {true.control for true in effects} == {declaration.control}
    assert {true.variant for true in effects} | {declaration.control} == set(declaration.variants)
    assert {true.segment.split("=")[0] for true in effects if true.segment} == set(declaration.segments)


@pytest.mark.parametrize("experiment", ["rep_trigger", "email_cadence", "aa_check"])
def test_every_unit_is_assigned_and_measured_between_start_and_end(
    world: SimulatedWorld, declared: Declared, experiment: str
) -> None:
    declaration = declared("experiments")[experiment]
    days = world.assignments.filter(pl.col("experiment") == experiment)["occurred_at"].dt.date()
    longest = max(metric.window_days for metric in declaration.metrics)
    assert declaration.start == days.min()
    assert days.max() + dt.timedelta(days=longest) <= declaration.end


def test_every_declared_covariate_is_a_feature_or_stands_in_the_profile(
    world: SimulatedWorld, declared: Declared
) -> None:
    profile = world.events.filter(pl.col("event_id").str.starts_with("hcp_profile"))["properties"][0]
    known = set(declared("features")) | set(json.loads(profile))
    for experiment in ("rep_trigger", "email_cadence", "aa_check"):
        assert set(declared("experiments")[experiment].profile_columns) <= known


def test_the_declared_study_asks_the_question_that_the_world_answers(world: SimulatedWorld, declared: Declared) -> None:
    (study,) = (study for study in declared("studies").values() if study.tenant == world.tenant)
    assert study.key in world.truth.studies
    assert (study.treatment.column, study.outcome.column) == ("engaged", "treatment_initiated")
    assert study.confounders == CONFOUNDERS
    journey = world.events.filter(pl.col("type") == study.source.event)["properties"][0]
    assert set(study.columns) <= set(json.loads(journey))


def test_declared_features_and_sources_name_events_and_worlds_that_exist(declared: Declared) -> None:
    sources = {source.tenant: source for source in declared("sources").values() if source.simulate is not None}
    assert set(sources) == set(WORLDS)
    for tenant, source in sources.items():
        assert source.simulate.world == tenant
        small = WORLDS[tenant](source.simulate.seed, 0.05)
        assert small.tenant == tenant
        assert small.events["source"].unique().to_list() == [source.key]
        for feature in declared("features").values():
            if feature.tenant == tenant:
                rows = small.events.filter(pl.col("type") == feature.event)
                assert rows.height > 0
                assert feature.column is None or feature.column in json.loads(rows["properties"][0])

"""A pharma world: physicians (HCPs), their patients, and a year of calls, e-mails and prescriptions.

Three brands: Remibrutinib (chronic spontaneous urticaria), Fabhalta (paroxysmal nocturnal haemoglobinuria)
and Kisqali (breast cancer). In the year lie three trials on the same HCPs, randomised independently of each
other, and one observational question on the patients:

- `aa_check` (days 91-165): two arms that are treated alike.
- `rep_trigger` (days 182-365): a trigger to the sales representative adds prescriptions, at a rate that
  depends additively on specialty and priority tier.
- `email_cadence` (days 213-283): weekly instead of monthly e-mails. Much of the weekly arm's assignment log
  was lost, more so for HCPs who rarely open e-mails.
- `engagement_initiation`: does engagement make patients start treatment? Sicker patients are engaged more and
  start more.

The trials touch different outcomes or different months, so none of them changes the truth of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from causeway.simulate.arrivals import Arrivals, Season, arrive
from causeway.simulate.pharma_population import (
    BRANDS,
    Hcps,
    Patients,
    draw_hcps,
    draw_patients,
    profiles,
)
from causeway.simulate.randomness import (
    Streams,
    forget,
    frailty,
    levels,
    negative_binomial,
    pick,
    scaled,
    values_at,
)
from causeway.simulate.records import Recorder, in_order
from causeway.simulate.truth import ExperimentTruth, SimulatedWorld, StudyTruth, WorldTruth, average_effects

DAYS = 365
ICD_CODES = (["L50.1"], ["D59.5"], ["C50.919", "Z17.0"])
UNITS_PER_PRESCRIPTION = {"Remibrutinib": 2.0, "Fabhalta": 1.5, "Kisqali": 2.6}
# What the trigger adds to prescriptions per 90 average days: a base, plus specialty, plus tier.
TRIGGER_BASE = 0.4
TRIGGER_BY_SPECIALTY = {"dermatology": 1.0, "allergy": 0.5, "hematology": 0.3, "oncology": 0.0}
TRIGGER_BY_TIER = {"tier_1": 1.0, "tier_2": 0.4, "tier_3": 0.0}

CALLS_PER_YEAR = {"tier_1": 20.0, "tier_2": 11.0, "tier_3": 6.0}
EMAILS_PER_YEAR = 14.0
EXTRA_WEEKLY_EMAILS_PER_YEAR = 30.0

ADOPTED_WINDOW = 30.0
LOST_WHERE_RARELY_OPENED, LOST_WHERE_OFTEN_OPENED = 0.75, 0.30

ENGAGEMENT_EFFECT = 0.12
SEVERITY_ON_INITIATION = 0.05


@dataclass(frozen=True)
class _Design:
    """A trial as planned: `start`, `enrolment` and the `window` of its metrics are in days."""

    key: str
    control: str
    variant: str
    start: float
    enrolment: float
    window: float


AA_CHECK = _Design("aa_check", "a", "b", start=91, enrolment=14, window=60)
REP_TRIGGER = _Design("rep_trigger", "no_trigger", "trigger", start=182, enrolment=21, window=90)
EMAIL_CADENCE = _Design("email_cadence", "monthly", "weekly", start=213, enrolment=10, window=60)


@dataclass(frozen=True)
class _Trial:
    """Who was enrolled when, and in which arm: `treated` is False for control."""

    day: NDArray[np.float64]
    treated: NDArray[np.bool_]


def pharma_world(
    seed: int = 1,
    scale: float = 1.0,
    *,
    hcps: int = 1000,
    patients: int = 5000,
    start: date = date(2024, 1, 1),
) -> SimulatedWorld:
    """Simulate the pharma world.

    seed: the same seed and sizes give the same world, row for row. scale: multiplies both numbers of units.
    start: first day of the 365 days; profiles lie in the month before. ValueError if a size or the scale is
    not positive.

    >>> pharma_world(seed=1, hcps=50, patients=100).truth.studies["engagement_initiation"].ate
    0.12
    """
    streams = Streams(seed)
    record = Recorder("pharma_world", start, streams)
    season = Season.of_year(start, DAYS, amplitude=0.25, peak_day=120.0, weekend=0.15)

    hcp = draw_hcps(streams, scaled(hcps, scale))
    patient = draw_patients(streams, hcp, scaled(patients, scale))
    trigger = _randomise(streams, REP_TRIGGER, len(hcp.unit_ids))
    email = _randomise(streams, EMAIL_CADENCE, len(hcp.unit_ids))
    check = _randomise(streams, AA_CHECK, len(hcp.unit_ids))
    journeys, study = _journeys(streams, record, hcp, patient)

    events = in_order(
        [
            *profiles(streams, record, hcp, patient),
            _prescriptions(streams, record, season, hcp, patient, trigger=trigger),
            _calls(streams, record, season, hcp),
            _emails(streams, record, season, hcp, email),
            _treatment_events(streams, record, season, hcp, patient),
            journeys,
        ]
    )
    logged = ~_lost(streams, hcp, email)
    assignments = in_order(
        [
            _log(record, AA_CHECK, hcp, check),
            _log(record, REP_TRIGGER, hcp, trigger),
            _log(record, EMAIL_CADENCE, hcp, email).filter(pl.Series(logged)),
        ]
    )
    truth = WorldTruth(
        experiments={
            AA_CHECK.key: _aa_check_truth(season, hcp, check),
            REP_TRIGGER.key: _rep_trigger_truth(season, hcp, trigger),
            EMAIL_CADENCE.key: _email_cadence_truth(season, hcp, email),
        },
        studies={"engagement_initiation": study},
    )
    return SimulatedWorld("pharma", events, assignments, truth)


def _randomise(streams: Streams, design: _Design, size: int) -> _Trial:
    rng = streams[f"assignment:{design.key}"]
    return _Trial(day=design.start + rng.random(size) * design.enrolment, treated=rng.random(size) < 0.5)


def _log(record: Recorder, design: _Design, hcp: Hcps, trial: _Trial) -> pl.DataFrame:
    variant = levels((design.control, design.variant), trial.treated.astype(np.intp))
    return record.assignments(design.key, hcp.unit_ids, trial.day, variant)


def _lost(streams: Streams, hcp: Hcps, email: _Trial) -> NDArray[np.bool_]:
    rarely = hcp.opens_email < np.median(hcp.opens_email)
    chance = np.where(rarely, LOST_WHERE_RARELY_OPENED, LOST_WHERE_OFTEN_OPENED)
    lost: NDArray[np.bool_] = email.treated & (streams["lost log rows"].random(len(chance)) < chance)
    return lost


def _trigger_rate(hcp: Hcps) -> NDArray[np.float64]:
    per_90_days = TRIGGER_BASE + values_at(TRIGGER_BY_SPECIALTY, hcp.specialty) + values_at(TRIGGER_BY_TIER, hcp.tier)
    return per_90_days / 90


def _prescriptions(
    streams: Streams, record: Recorder, season: Season, hcp: Hcps, patient: Patients, *, trigger: _Trial
) -> pl.DataFrame:
    usual = arrive(streams["prescriptions"], streams["prescription times"], season, hcp.prescription_rate)
    triggered = arrive(
        streams["triggered prescriptions"],
        streams["triggered prescription times"],
        season,
        np.where(trigger.treated, _trigger_rate(hcp), 0.0),
        trigger.day,
    )
    rx = usual + triggered
    brand = hcp.brand[rx.unit]
    extra_units = negative_binomial(streams["prescribed units"], values_at(UNITS_PER_PRESCRIPTION, brand) - 1, 0.6)
    return record.events(
        "prescription",
        "rx",
        hcp.unit_ids.gather(rx.unit),
        rx.day,
        {
            "patient_id": _one_of_the_panel(streams, rx, patient, len(hcp.unit_ids)),
            "brand": levels(BRANDS, brand),
            "units": 1 + extra_units,
        },
    )


def _one_of_the_panel(streams: Streams, rx: Arrivals, patient: Patients, hcps: int) -> pl.Series:
    """A patient of the prescribing HCP for each prescription; missing where the HCP has none."""
    by_hcp = np.argsort(patient.hcp, kind="stable")
    size = np.bincount(patient.hcp, minlength=hcps)
    first = np.cumsum(size) - size
    seat = (streams["prescribed patients"].random(len(rx.unit)) * size[rx.unit]).astype(np.intp)
    chosen = np.minimum(first[rx.unit] + seat, len(by_hcp) - 1)
    return patient.unit_ids.gather(by_hcp[chosen]).set(pl.Series(size[rx.unit] == 0), None)


def _calls(streams: Streams, record: Recorder, season: Season, hcp: Hcps) -> pl.DataFrame:
    calls = arrive(streams["calls"], streams["call times"], season, _call_rate(hcp))
    rng = streams["call properties"]
    count = len(calls.unit)
    outcomes = {"detailed": 0.55, "sample_left": 0.20, "no_access": 0.25}
    return record.events(
        "call",
        "call",
        hcp.unit_ids.gather(calls.unit),
        calls.day,
        {
            "territory": hcp.territory_names.gather(calls.unit),
            "brand": levels(BRANDS, hcp.brand[calls.unit]),
            "duration_minutes": forget(rng, pl.Series(np.round(rng.lognormal(2.0, 0.7, count), 1)), 0.05),
            "outcome": levels(outcomes, pick(rng, outcomes, count)),
        },
    )


def _call_rate(hcp: Hcps) -> NDArray[np.float64]:
    return values_at(CALLS_PER_YEAR, hcp.tier) / DAYS


def _emails(streams: Streams, record: Recorder, season: Season, hcp: Hcps, email: _Trial) -> pl.DataFrame:
    size = len(hcp.unit_ids)
    usual = arrive(streams["emails"], streams["email times"], season, np.full(size, EMAILS_PER_YEAR / DAYS))
    weekly = arrive(
        streams["weekly emails"],
        streams["weekly email times"],
        season,
        np.where(email.treated, EXTRA_WEEKLY_EMAILS_PER_YEAR / DAYS, 0.0),
        email.day,
    )
    sent = usual + weekly
    rng = streams["email properties"]
    count = len(sent.unit)
    opened = rng.random(count) < hcp.opens_email[sent.unit]
    subjects = {"clinical_data": 0.4, "access_support": 0.3, "event_invitation": 0.3}
    return record.events(
        "email",
        "email",
        hcp.unit_ids.gather(sent.unit),
        sent.day,
        {
            "brand": levels(BRANDS, hcp.brand[sent.unit]),
            "subject": forget(rng, levels(subjects, pick(rng, subjects, count)), 0.03),
            "opened": opened.astype(np.int64),
            "clicked": (opened & (rng.random(count) < 0.2)).astype(np.int64),
        },
    )


def _treatment_events(streams: Streams, record: Recorder, season: Season, hcp: Hcps, patient: Patients) -> pl.DataFrame:
    rng = streams["treatment frailty"]
    rate = 5 / DAYS * np.exp(0.1 * (patient.severity - 5)) * frailty(rng, 1.2, len(patient.unit_ids))
    visits = arrive(streams["treatment events"], streams["treatment event times"], season, rate)
    rng = streams["treatment event properties"]
    count = len(visits.unit)
    kinds = {"diagnosis": 0.15, "lab": 0.35, "procedure": 0.10, "administration": 0.40}
    brand = patient.brand[visits.unit]
    return record.events(
        "treatment_event",
        "treatment",
        patient.unit_ids.gather(visits.unit),
        visits.day,
        {
            "event_type": levels(kinds, pick(rng, kinds, count)),
            "brand": levels(BRANDS, brand),
            "icd_codes": pl.Series(ICD_CODES).gather(brand),
            "hcp_id": hcp.unit_ids.gather(patient.hcp[visits.unit]),
            "cost": forget(rng, pl.Series(np.round(rng.lognormal(5.5, 1.1, count), 2)), 0.04),
        },
    )


def _journeys(streams: Streams, record: Recorder, hcp: Hcps, patient: Patients) -> tuple[pl.DataFrame, StudyTruth]:
    """The observational question.

    Engagement follows a logistic model of severity, age and insurance; treatment is initiated with a
    probability that is linear in the same three and in engagement, so a linear regression on them is
    correctly specified and the effect is the same for everybody. Last year's visits depend on severity alone:
    a negative control outcome.
    """
    rng = streams["journeys"]
    size = len(patient.unit_ids)
    index = -3.0 + 0.5 * patient.severity + 0.012 * (patient.age - 50) + 0.3 * patient.commercially_insured
    latent = index + rng.logistic(size=size)
    engaged = latent > 0
    untreated = (
        0.08
        + SEVERITY_ON_INITIATION * patient.severity
        + 0.0015 * (patient.age - 18)
        + 0.05 * patient.commercially_insured
    )
    initiated = rng.random(size) < untreated + ENGAGEMENT_EFFECT * engaged
    frame = record.events(
        "patient_journey",
        "journey",
        patient.unit_ids,
        180 + 180 * rng.random(size),
        {
            "engaged": engaged.astype(np.int64),
            "engagement_score": forget(rng, pl.Series(np.round(100 / (1 + np.exp(-latent / 2)), 1)), 0.05),
            "disease_severity": forget(rng, pl.Series(patient.severity), 0.02),
            "age": patient.age,
            "commercially_insured": patient.commercially_insured,
            "visits_last_year": rng.poisson(1 + 0.4 * patient.severity),
            "brand": levels(BRANDS, patient.brand),
            "hcp_id": hcp.unit_ids.gather(patient.hcp),
            "treatment_initiated": initiated.astype(np.int64),
        },
    )
    chance = 1 / (1 + np.exp(-index))
    selection = np.average(untreated, weights=chance) - np.average(untreated, weights=1 - chance)
    return frame, StudyTruth(
        ate=ENGAGEMENT_EFFECT,
        att=ENGAGEMENT_EFFECT,
        naive_bias=float(selection),
        treated_share=float(chance.mean()),
    )


def _aa_check_truth(season: Season, hcp: Hcps, check: _Trial) -> ExperimentTruth:
    mass = season.mass(check.day, check.day + AA_CHECK.window)
    expected = {"prescriptions": hcp.prescription_rate * mass, "calls": _call_rate(hcp) * mass}
    return ExperimentTruth(
        tuple(
            effect
            for metric, mean in expected.items()
            for effect in average_effects(metric, (AA_CHECK.control, mean), {AA_CHECK.variant: mean}, hcp.segments)
        )
    )


def _rep_trigger_truth(season: Season, hcp: Hcps, trigger: _Trial) -> ExperimentTruth:
    mass = season.mass(trigger.day, trigger.day + REP_TRIGGER.window)
    first_month = season.mass(trigger.day, trigger.day + ADOPTED_WINDOW)
    units = values_at(UNITS_PER_PRESCRIPTION, hcp.brand)
    usual, added = hcp.prescription_rate, _trigger_rate(hcp)
    expected = {
        "prescriptions": (usual * mass, (usual + added) * mass),
        "prescribed_units": (usual * mass * units, (usual + added) * mass * units),
        "adopted": (1 - np.exp(-usual * first_month), 1 - np.exp(-(usual + added) * first_month)),
    }
    return ExperimentTruth(
        tuple(
            effect
            for metric, (control, treated) in expected.items()
            for effect in average_effects(
                metric, (REP_TRIGGER.control, control), {REP_TRIGGER.variant: treated}, hcp.segments
            )
        )
    )


def _email_cadence_truth(season: Season, hcp: Hcps, email: _Trial) -> ExperimentTruth:
    opens = hcp.opens_email * season.mass(email.day, email.day + EMAIL_CADENCE.window) / DAYS
    return ExperimentTruth(
        average_effects(
            "email_opens",
            (EMAIL_CADENCE.control, EMAILS_PER_YEAR * opens),
            {EMAIL_CADENCE.variant: (EMAILS_PER_YEAR + EXTRA_WEEKLY_EMAILS_PER_YEAR) * opens},
            hcp.segments,
        ),
        log_is_complete=False,
    )

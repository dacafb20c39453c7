"""Who lives in the pharma world: physicians (HCPs) in territories, and their patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from causeway.simulate.randomness import Streams, forget, frailty, levels, pick, values_at
from causeway.simulate.records import Recorder, identifiers

SPECIALTIES = {"dermatology": 0.35, "allergy": 0.20, "hematology": 0.15, "oncology": 0.30}
TIERS = {"tier_1": 0.20, "tier_2": 0.35, "tier_3": 0.45}
REGIONS = {"midwest": 0.25, "northeast": 0.25, "south": 0.25, "west": 0.25}
BRANDS = ("Remibrutinib", "Fabhalta", "Kisqali")
BRAND_OF_SPECIALTY = np.array([0, 0, 1, 2])

# Prescriptions per 90 average days: log-linear in the traits, times a lasting gamma frailty.
PRESCRIPTIONS_PER_90_DAYS = 2.6
SPECIALTY_LOG_RATE = {"dermatology": 0.2, "allergy": 0.0, "hematology": -0.2, "oncology": 0.1}
TIER_LOG_RATE = {"tier_1": 0.5, "tier_2": 0.1, "tier_3": -0.3}


@dataclass(frozen=True)
class Hcps:
    """Traits of the HCPs, one element each; rates are events per average day."""

    unit_ids: pl.Series
    specialty: NDArray[np.intp]
    tier: NDArray[np.intp]
    territory: NDArray[np.intp]
    region: NDArray[np.intp]
    years_of_practice: NDArray[np.int64]
    patient_volume: NDArray[np.int64]
    prescription_rate: NDArray[np.float64]
    opens_email: NDArray[np.float64]

    @property
    def brand(self) -> NDArray[np.intp]:
        return BRAND_OF_SPECIALTY[self.specialty]

    @property
    def territory_names(self) -> pl.Series:
        return identifiers("territory", int(self.territory.max()) + 1, 3).gather(self.territory)

    @property
    def segments(self) -> dict[str, pl.Series]:
        return {
            "specialty": levels(SPECIALTIES, self.specialty),
            "priority_tier": levels(TIERS, self.tier),
        }


@dataclass(frozen=True)
class Patients:
    """Traits of the patients, one element each; `hcp` is the position of the treating HCP."""

    unit_ids: pl.Series
    hcp: NDArray[np.intp]
    brand: NDArray[np.intp]
    age: NDArray[np.int64]
    female: NDArray[np.bool_]
    commercially_insured: NDArray[np.int64]
    severity: NDArray[np.float64]


def draw_hcps(streams: Streams, size: int) -> Hcps:
    """Draw the HCPs of a world; `size` is at least 2."""
    rng = streams["hcps"]
    specialty, tier = pick(rng, SPECIALTIES, size), pick(rng, TIERS, size)
    territory = rng.integers(0, max(size // 25, len(REGIONS)), size)
    patient_volume = np.maximum(np.rint(rng.lognormal(np.log(60), 0.5, size)), 1).astype(np.int64)
    log_rate = (
        np.log(PRESCRIPTIONS_PER_90_DAYS / 90)
        + values_at(SPECIALTY_LOG_RATE, specialty)
        + values_at(TIER_LOG_RATE, tier)
        + 0.5 * np.log(patient_volume / 60)
    )
    return Hcps(
        unit_ids=identifiers("hcp", size, 6),
        specialty=specialty,
        tier=tier,
        territory=territory,
        region=territory % len(REGIONS),
        years_of_practice=np.clip(np.rint(rng.gamma(2.5, 6.0, size)), 1, 45).astype(np.int64),
        patient_volume=patient_volume,
        prescription_rate=np.exp(log_rate) * frailty(streams["hcp frailty"], 1.5, size),
        opens_email=rng.beta(2.0, 3.0, size),
    )


def draw_patients(streams: Streams, hcp: Hcps, size: int) -> Patients:
    """Draw the patients of these HCPs; a patient has the brand of the HCP's specialty."""
    rng = streams["patients"]
    panel = np.cumsum(hcp.patient_volume)
    treating = np.searchsorted(panel, rng.random(size) * panel[-1], side="right")
    # Everybody has a patient as long as there are enough of them; the rest follow the size of the practice.
    seats = min(size, len(panel))
    treating[:seats] = rng.permutation(len(panel))[:seats]
    brand = hcp.brand[treating]
    age = np.clip(np.rint(rng.normal(np.array([42.0, 45.0, 57.0])[brand], 13.0)), 18, 88).astype(np.int64)
    return Patients(
        unit_ids=identifiers("pat", size, 7),
        hcp=treating,
        brand=brand,
        age=age,
        female=rng.random(size) < np.array([0.62, 0.50, 0.99])[brand],
        commercially_insured=(rng.random(size) < np.where(age < 65, 0.65, 0.20)).astype(np.int64),
        severity=np.clip(rng.normal(5.0, 2.0, size), 0.0, 10.0).round(1),
    )


def profiles(streams: Streams, record: Recorder, hcp: Hcps, patient: Patients) -> list[pl.DataFrame]:
    """Profile events of everybody, in the month before the world starts, with some traits missing."""
    rng = streams["profiles"]
    return [
        record.events(
            "profile",
            "hcp_profile",
            hcp.unit_ids,
            -30 + 29 * rng.random(len(hcp.unit_ids)),
            {
                **hcp.segments,
                "years_of_practice": forget(rng, pl.Series(hcp.years_of_practice), 0.04),
                "patient_volume": forget(rng, pl.Series(hcp.patient_volume), 0.06),
                "region": levels(REGIONS, hcp.region),
                "territory": hcp.territory_names,
            },
        ),
        record.events(
            "profile",
            "patient_profile",
            patient.unit_ids,
            -30 + 29 * rng.random(len(patient.unit_ids)),
            {
                "age": patient.age,
                "sex": pl.Series(["male", "female"]).gather(patient.female.astype(np.intp)),
                "insurance": forget(
                    rng, pl.Series(["public", "commercial"]).gather(patient.commercially_insured), 0.03
                ),
                "disease_severity": forget(rng, pl.Series(patient.severity), 0.02),
                "brand": levels(BRANDS, patient.brand),
                "hcp_id": hcp.unit_ids.gather(patient.hcp),
            },
        ),
    ]

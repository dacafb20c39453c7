"""The tail agrees with SciPy's where SciPy has one, and is a number where it has none."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, stats

from causeway.design.noncentral_t import upper_tail

degrees = st.floats(0, math.log(1e6)).map(math.exp)


@pytest.mark.filterwarnings("ignore:Error in function")  # SciPy's, where its series ends
@given(st.floats(-6, 6), degrees, st.floats(-8, 8))
def test_agrees_with_scipy(t, df, noncentrality):
    theirs = float(stats.nct.sf(t, df, noncentrality))
    assume(not math.isnan(theirs))
    assert upper_tail(t, df, noncentrality) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("t", "df", "noncentrality"), [(1.9675, 314, -8.888), (2.0, 30, -12.0), (2.2, 11.5, -9.0)])
def test_is_right_where_scipy_answers_nan(t, df, noncentrality):
    def at(s):
        return stats.norm.sf(t * s - noncentrality) * stats.chi.pdf(s * math.sqrt(df), df) * math.sqrt(df)

    direct = integrate.quad(at, 0, 3, epsabs=0, epsrel=1e-9, limit=500, points=[1.0])[0]
    assert upper_tail(t, df, noncentrality) == pytest.approx(direct, rel=1e-6)


@given(st.floats(-5, 5), st.floats(0, math.log(1e15)).map(math.exp))
def test_without_noncentrality_it_is_students(t, df):
    assert upper_tail(t, df, 0.0) == pytest.approx(float(stats.t.sf(t, df)), abs=1e-9)


@given(st.floats(-5, 5), degrees, st.floats(-50, 50), st.floats(-50, 50))
def test_grows_with_the_noncentrality(t, df, one, other):
    low, high = sorted((one, other))
    assert upper_tail(t, df, low) <= upper_tail(t, df, high) + 1e-12

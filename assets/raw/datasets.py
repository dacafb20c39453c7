"""Data sets that come with installed packages, as tables with one row per unit."""

from collections.abc import Callable, Mapping

import polars as pl


def health_insurance_experiment() -> pl.DataFrame:
    """The RAND Health Insurance Experiment as statsmodels ships it (20,190 person-years), its plan spelt out.

    The extract codes the plan by coinsurance rate and a flag. Rate 0 with the flag is the individual deductible
    plan, not free care: split like this, the person-years per plan are those of Manning et al. (1987), table 2.
    """
    from statsmodels.datasets import randhie

    frame = pl.from_pandas(randhie.load_pandas().data)
    rate = (pl.col("lncoins").exp() - 1).round()
    plan = (
        pl.when((rate == 0) & (pl.col("idp") == 0))
        .then(pl.lit("free"))
        .when(rate == 0)
        .then(pl.lit("individual_deductible"))
        .when(rate == 25)
        .then(pl.lit("coinsurance_25"))
        .when(rate == 50)
        .then(pl.lit("coinsurance_50"))
        .otherwise(pl.lit("coinsurance_95"))
    )
    return frame.with_columns(plan=plan, coinsurance_rate=rate)


DATASETS: Mapping[str, Callable[[], pl.DataFrame]] = {"randhie": health_insurance_experiment}

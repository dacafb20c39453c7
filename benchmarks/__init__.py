"""Benchmarks by name. Each is a function that reports its progress and returns figures."""

from collections.abc import Callable, Mapping, Sequence

from benchmarks.figure import Figure


def _spine(report: Callable[[str], object]) -> Sequence[Figure]:
    from benchmarks.spine import spine

    return spine(report)


def _coverage(report: Callable[[str], object]) -> Sequence[Figure]:
    from benchmarks.coverage import coverage

    return coverage(report)


def _assign(report: Callable[[str], object]) -> Sequence[Figure]:
    from benchmarks.assign import assign

    return assign(report)


def _serve(report: Callable[[str], object]) -> Sequence[Figure]:
    from benchmarks.serve import serve

    return serve(report)


def _ingest(report: Callable[[str], object]) -> Sequence[Figure]:
    from benchmarks.ingest import ingest

    return ingest(report)


def _analysis(report: Callable[[str], object]) -> Sequence[Figure]:
    from benchmarks.analysis import analysis
    from benchmarks.large_experiment import large_experiment
    from benchmarks.many_experiments import many_experiments

    return [*analysis(report), *large_experiment(report), *many_experiments(report)]


def _estimates(report: Callable[[str], object]) -> Sequence[Figure]:
    from benchmarks.estimates import estimates

    return estimates(report)


BENCHMARKS: Mapping[str, Callable[[Callable[[str], object]], Sequence[Figure]]] = {
    "spine": _spine,
    "coverage": _coverage,
    "assign": _assign,
    "ingest": _ingest,
    "analysis": _analysis,
    "estimates": _estimates,
    "serve": _serve,
}

__all__ = ["BENCHMARKS", "Figure"]

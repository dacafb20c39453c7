"""What there is to compute for an experiment, by where it is in its life cycle."""

from collections.abc import Mapping
from dataclasses import dataclass

from causeway.declarations.life_cycle import DORMANT
from jobs.road import OF_EXPERIMENTS, OF_PLANS


@dataclass(frozen=True)
class Standing:
    """Partitions of experiments by what is computed for them.

    dormant: drafts and archived experiments, which are not analysed. planned: those of the drafts that have a plan;
    a plan is made of drafts alone.
    """

    dormant: frozenset[str] = frozenset()
    planned: frozenset[str] = frozenset()

    @classmethod
    def of(cls, experiments: Mapping[str, tuple[str, bool]]) -> "Standing":
        """From the status of each partition, and whether it has a plan."""
        return cls(
            frozenset(partition for partition, (status, _) in experiments.items() if status in DORMANT),
            frozenset(
                partition for partition, (status, has_plan) in experiments.items() if status == "draft" and has_plan
            ),
        )

    def asks_for(self, job: str, partition: str | None) -> bool:
        """Whether this job of the road is run for the partition; partitions of anything but experiments always are."""
        if job in OF_PLANS:
            return partition in self.planned
        return job not in OF_EXPERIMENTS or partition not in self.dormant

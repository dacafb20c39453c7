from jobs.many import MANY
from jobs.road import ROAD, find_interactions

__all__ = ["MANY", "ROAD", "find_interactions"]

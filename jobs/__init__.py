from jobs.road import ROAD, find_interactions

__all__ = ["ROAD", "find_interactions"]

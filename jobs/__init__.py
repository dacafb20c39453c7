from jobs.road import ROAD

__all__ = ["ROAD"]

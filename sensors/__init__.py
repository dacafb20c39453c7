from sensors.declarations import declarations_changed
from sensors.landing_files import landing_files
from sensors.rollback import rollback
from sensors.stale_work import stale_work

SENSORS = [declarations_changed, landing_files, rollback, stale_work]

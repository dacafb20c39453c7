"""Start one service of docker-compose.yml: set what it reads from the environment, then become it.

Each container knows the password of the roles it needs and no other, so it is told only the addresses that those
roles reach.
"""

import os
import shutil
import sys

from resources.settings import Settings


def addresses(settings: Settings) -> dict[str, str]:
    """The variables that hold database addresses, for the roles whose password is here."""
    found: dict[str, str] = {}
    if "causeway_pipeline" in settings.passwords:
        found["CAUSEWAY_DAGSTER_URL"] = settings.url("causeway_pipeline", "dagster")
        found["MLFLOW_BACKEND_STORE_URI"] = settings.url("causeway_pipeline", "mlflow")
    if "causeway_api" in settings.passwords:
        found["CAUSEWAY_API_DATABASE_URL"] = settings.url("causeway_api")
    return found


def prepare(settings: Settings) -> None:
    """Set the addresses and, where Dagster is run, its home with the instance's configuration in it."""
    found = addresses(settings)
    os.environ.update(found)
    if "CAUSEWAY_DAGSTER_URL" in found:
        home = settings.home / "dagster"
        home.mkdir(parents=True, exist_ok=True)
        # Two services share the folder: neither may find half a file.
        unfinished = home / f"dagster.yaml.{os.uname().nodename}.{os.getpid()}"
        shutil.copyfile(settings.project_root / "dagster.yaml", unfinished)
        unfinished.replace(home / "dagster.yaml")
        os.environ["DAGSTER_HOME"] = str(home)


if __name__ == "__main__":
    prepare(Settings.from_environment())
    os.execvp(sys.argv[1], sys.argv[1:])

"""A house of a benchmark's own, which is gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from resources import embedded_postgres
from resources.migration import migrate
from resources.settings import DATABASE_URL, HOME, Settings


@contextmanager
def own_settings(tenants: Sequence[str]) -> Iterator[Settings]:
    """A migrated Postgres in a CAUSEWAY_HOME that nobody else uses, which is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="causeway-bench-"))
    home = folder / "home"
    home.mkdir()
    # As root the server runs as a user of its own, who has to pass through.
    folder.chmod(0o755)
    before = {name: os.environ.get(name) for name in (HOME, DATABASE_URL)}
    try:
        settings = Settings.from_environment({HOME: str(home)}).with_admin_url(embedded_postgres.start(home))
        migrate(settings, tenants=list(tenants))
        # dbt finds the database by the environment.
        os.environ.update({HOME: str(home), DATABASE_URL: settings.admin_address().url})
        yield settings
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        embedded_postgres.stop(home)
        shutil.rmtree(folder)

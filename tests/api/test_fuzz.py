"""The whole API against its own description: whatever is sent, the answer is one that was announced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MEDIA_TYPES = Path(__file__).with_name("fuzz_media_types.py")
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = 15
SEED = 20261121


@pytest.fixture
def populated(world: Any) -> None:
    """Something to be found, so that requests get past 404."""
    for tenant in ("acme", "globex"):
        world.declare(tenant, "email_campaign")
        world.materialise(tenant, "email_campaign")


def test_no_request_gets_an_answer_that_is_not_described(populated: None, served: Any, tmp_path: Path) -> None:
    """Schemathesis makes valid and invalid requests for every route: no 5xx, no undocumented status, body or type."""
    found = subprocess.run(
        [
            str(SCHEMATHESIS),
            "run",
            f"{served.url}/openapi.json",
            *("--header", f"Authorization: Bearer {served.keys['acme']}"),
            *("--checks", CHECKS),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES)),
            *("--seed", str(SEED)),
            *("--generation-allow-x00", "true"),
            *("--generation-database", "none"),
            *("--suppress-health-check", "all"),
            *("--request-timeout", "30"),
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(MEDIA_TYPES)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    print(found.stdout[-4000:])
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-2_000:]
    assert "Test cases:" in found.stdout

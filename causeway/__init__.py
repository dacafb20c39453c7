"""The pure library: numbers in, frozen dataclasses out; no orchestration, web, driver, file or clock."""

"""Kept answers: never older than the last publication that could be heard."""

from __future__ import annotations

import asyncio

import pytest

from api.answers import Answer, Answers, Question

MINE, THEIRS = Question("acme", "/r", b""), Question("globex", "/r", b"")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def answers(clock):
    answers = Answers(5.0, clock)
    answers.linked(True)
    return answers


def read(answers, question, body=b"x", during=lambda: None):
    async def reading():
        during()
        return Answer(body, '"etag"', "/r")

    return asyncio.run(answers.read(question, reading))


def test_an_answer_is_kept_for_its_lifetime(answers, clock):
    given = read(answers, MINE)
    clock.now = 4.9
    assert answers.kept(MINE) is given
    clock.now = 5.0
    assert answers.kept(MINE) is None


def test_a_publication_drops_the_answers_of_its_tenant_alone(answers):
    for question in (MINE, THEIRS):
        read(answers, question)
    answers.published("acme")
    assert answers.kept(MINE) is None
    assert answers.kept(THEIRS) is not None
    answers.published("")
    assert answers.kept(THEIRS) is None


def test_an_answer_that_was_overtaken_by_a_publication_is_given_but_not_kept(answers):
    """It was read from the tables as they were; kept, it would be served for seconds after they changed."""
    given = read(answers, MINE, during=lambda: answers.published("acme"))
    assert given.body == b"x"
    assert answers.kept(MINE) is None


def test_nothing_is_kept_while_publications_cannot_be_heard(answers):
    read(answers, MINE)
    answers.linked(False)
    assert answers.kept(MINE) is None
    read(answers, MINE)
    assert answers.kept(MINE) is None
    # One that is being read while the link comes back may have missed a publication.
    read(answers, MINE, during=lambda: answers.linked(True))
    assert answers.kept(MINE) is None


def test_what_is_kept_is_bounded(answers):
    largest = b"x" * 1024 * 1024
    for number in range(70):
        read(answers, Question("acme", f"/{number}", b""), body=largest)
    kept = [number for number in range(70) if answers.kept(Question("acme", f"/{number}", b""))]
    assert kept == list(range(70 - 64, 70))
    read(answers, MINE, body=largest + b"x")
    assert answers.kept(MINE) is None


def test_a_publication_is_served_at_once(acme, world, wait_until):
    """Without the notification, the old answer is served: what the first assertion shows."""
    world.declare("acme", "moving")
    world.materialise("acme", "moving")
    wait_until(lambda: "causeway_api_hears_publications 1.0" in acme.get("/metrics").text)

    def effect() -> float:
        return acme.get("/v1/experiments/moving/results").json()["results"][0]["effect"]

    assert effect() == 0.1
    world.execute("update serving.experiment_results set effect = 0.2")
    assert effect() == 0.1
    world.publish("globex")
    assert effect() == 0.1
    world.publish("acme")
    wait_until(lambda: effect() == 0.2, seconds=1)

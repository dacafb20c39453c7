"""Bodies are taken apart, so that one bad event is one bad answer; the fast reader notices what it cannot read."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.events.reading import Batch, _read_apart, _read_fast, read_batch, read_event, read_records
from api.problems import Problem

EVENT: dict[str, Any] = {"source": "s", "id": "1"}
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def written(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


class TestForms:
    @pytest.mark.parametrize("body", [{"events": [EVENT, EVENT]}, [EVENT, EVENT]])
    def test_a_batch_is_a_list_or_an_object_with_one(self, body: object) -> None:
        assert read_batch(written(body)).values == [EVENT, EVENT]

    def test_a_body_may_be_one_event(self) -> None:
        assert read_batch(written(EVENT)).values == [EVENT]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400), (b"{", 400), (b"[1,]", 400), (b"[1 2]", 400), (b'{"events": [1]', 400), (b"[tru]", 400),
            (b"[1] x", 400), (b'{"events": [NaN] x}', 400), (b"[NaN,, 1]", 400), (b'{"events": [NaN], }', 400),
            (b"\xff\xfe[\x00]\x00", 400), (b"7", 422), (b"null", 422), (b'"text"', 422), (b"NaN", 422),
            (b'{"events": 7}', 422), (b'{"events": [1], "more": 1}', 422), (b'{"events": [NaN], "more": 1}', 422),
            (b"[]", 422), (b'{"events": []}', 422), (b'{"events": [ ], "a": NaN}', 422),
        ],
    )  # fmt: skip
    def test_what_is_no_batch_is_refused_as_a_whole(self, body: bytes, status: int) -> None:
        with pytest.raises(Problem) as refused:
            read_batch(body)
        assert refused.value.status == status

    def test_a_batch_holds_a_thousand_by_either_reader(self) -> None:
        for item in ("1", "NaN"):
            assert len(read_batch(f"[{','.join([item] * 1000)}]".encode()).values) == 1000
            with pytest.raises(Problem, match="1000 events at most"):
                read_batch(f"[{','.join([item] * 1001)}]".encode())


class TestTwoReaders:
    @given(st.lists(JSON, min_size=1, max_size=5), st.booleans(), st.sampled_from([None, 2]))
    def test_agree_on_clean_json(self, values: list[Any], is_wrapped: bool, indent: int | None) -> None:
        body = json.dumps({"events": values} if is_wrapped else values, indent=indent).encode()
        slow = _read_apart(body)
        assert slow.flaws == {}
        assert written(slow.values) == written(values)
        fast = _read_fast(body)
        if fast is not None:
            assert written(fast.values) == written(values)

    @given(JSON, st.text(max_size=5).filter(str.isascii))
    def test_the_fast_one_takes_nothing_that_is_there_twice(self, value: Any, name: str) -> None:
        """Whatever else is in it: colons in text, escaped names, numbers."""
        key = json.dumps(name)
        event = f'{{"a": {json.dumps(value)}, {key}: 1, "b:": [{{"c": ":"}}], {key}: 2}}'
        assert _read_fast(f"[{event}]".encode()) is None
        batch = read_batch(f"[{event}]".encode())
        assert batch.flaws[0].code == "duplicate_member"

    @pytest.mark.parametrize("twice", ["\\u0061", "a"])
    def test_a_name_that_is_escaped_is_the_same_name(self, twice: str) -> None:
        body = f'[{{"a": 1, "{twice}": 2, "x": "\\u003a"}}]'.encode()
        assert read_batch(body).flaws[0].code == "duplicate_member"

    @pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "1" * 400, "1e400", "-1e999"])
    def test_a_number_that_does_not_fit_is_none(self, number: str) -> None:
        batch = read_batch(f'[{{"a": {number}}}, {{"a": 1}}]'.encode())
        assert math.isinf(batch.values[0]["a"])  # type: ignore[index]
        assert batch.values[1] == {"a": 1}

    @pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 12345678901234567890])
    def test_a_whole_number_of_64_bits_is_exact(self, number: int) -> None:
        assert read_batch(written([{"a": number}])).values == [{"a": number}]

    def test_twenty_digits_in_a_text_are_text(self) -> None:
        value = {"id": "12345678901234567890123"}
        assert read_batch(written([value])).values == [value]


class TestTheRestGoesThrough:
    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            ('{"a": 1, "a": 2}', "duplicate_member"),
            ('{"p": {"q": [{"a": 1, "a": 1}]}}', "duplicate_member"),
            ("[" * 5000 + "]" * 5000, "too_deep"),
            ('{"a": ' * 50_000 + "1" + "}" * 50_000, "too_deep"),
            ('{"a": "one\ntwo"}', "bad_text"),
            ('{"a": "\x00"}', "bad_text"),
        ],
    )
    @pytest.mark.parametrize("form", ["[{}]", '{{"events": [{}]}}', ' {{ "events" :\n[{}] }} '])
    def test_round_a_flawed_event(self, bad: str, code: str, form: str) -> None:
        good = json.dumps(EVENT)
        batch = read_batch(form.format(", ".join([good, bad, good])).encode())
        assert [batch.values[0], batch.values[2]] == [EVENT, EVENT]
        assert {position: flaw.code for position, flaw in batch.flaws.items()} == {1: code}

    @pytest.mark.parametrize(
        ("text", "value"), [('"\\ud800"', "\ud800"), ("NaN", math.nan), ("-Infinity", -math.inf), ('"\\u0000"', "\x00")]
    )
    def test_what_only_the_field_can_tell_is_left_to_the_field(self, text: str, value: Any) -> None:
        batch = read_batch(f'[{{"a": {text}}}]'.encode())
        assert batch.flaws == {}
        assert batch.is_suspicious
        assert str(batch.values[0]["a"]) == str(value)  # type: ignore[index]

    def test_bytes_that_are_no_utf_8_are_told_in_their_event(self) -> None:
        batch = read_batch(b'[{"a": "\xff"}, {"a": "\xc3\xa9"}]')
        assert batch.values == [{"a": "\udcff"}, {"a": "é"}]
        assert batch.texts[0] == '{"a": "\\udcff"}'

    def test_the_text_of_each_is_kept_as_it_came(self) -> None:
        texts = ['{ "a":1, "a" : 2 }', '{"b": "[,]}\\"{"}', "NaN"]
        assert list(read_batch(f"[{' , '.join(texts)}]".encode()).texts.values()) == texts

    @given(st.binary(max_size=200))
    def test_whatever_the_bytes_it_is_a_batch_or_a_documented_refusal(self, body: bytes) -> None:
        for read in (read_batch, read_event):
            try:
                assert isinstance(read(body), Batch)
            except Problem as refused:
                assert refused.status in (400, 422)

    @given(st.text(st.sampled_from('[]{},:"\\ \x00ae1N'), max_size=40))
    def test_whatever_the_brackets_too(self, text: str) -> None:
        try:
            batch = read_batch(text.encode())
        except Problem as refused:
            assert refused.status in (400, 422)
        else:
            assert 1 <= len(batch.values) <= 1000

    @given(JSON)
    def test_a_record_is_read_again_as_it_was(self, value: Any) -> None:
        text = orjson.dumps(value).decode()
        assert written(read_records([text]).values) == written([value])

    def test_a_record_that_was_never_json_is_a_flaw(self) -> None:
        assert read_records(["a;b;c"]).flaws[0].code == "not_json"

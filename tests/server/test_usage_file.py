"""What providers hand to `bourse usage`: every fault is told by line, field, value and remedy."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from exchange.cli.provider import BATCH_BYTES, batches, read_lines, read_usage
from exchange.client.errors import BadInput
from exchange.protocol.acts import PromptDetails, RecordUsage, TokenUsage, UsageRecord
from exchange.protocol.messages import MESSAGE_BYTES_MAX, Decide, encode

CALL: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "member": "SANDBOX",
    "model": "QWEN3-MAX",
    "created": 1_795_300_000,
    "usage": {
        "prompt_tokens": 1_200,
        "completion_tokens": 300,
        "total_tokens": 1_500,
        "prompt_tokens_details": {"cached_tokens": 1_000, "audio_tokens": 0},
    },
}


def changed(**usage):
    return json.dumps({**CALL, "usage": {**CALL["usage"], **usage}})


def test_a_line_is_an_answer_of_the_common_interface_with_the_member_beside_it():
    assert read_usage(json.dumps(CALL)) == [
        UsageRecord(
            "chatcmpl-1", "SANDBOX", "QWEN3-MAX", 1_795_300_000, TokenUsage(1_200, 300, PromptDetails(1_000))
        )
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "line 2 '': it is no JSON object"),
        ("[1]", "line 2 [1]: Expected `object`, got `array`: mend the line"),
        (changed(prompt_tokens="many"), "line 2: usage.prompt_tokens 'many': Expected `int`, got `str`"),
        (changed(prompt_tokens=-1), "line 2: usage.prompt_tokens -1: give a count of tokens, 0 or more"),
        (changed(completion_tokens=-2), "line 2: usage.completion_tokens -2: give a count"),
        (
            changed(prompt_tokens_details={"cached_tokens": 1_201}),
            "line 2: usage.prompt_tokens_details.cached_tokens 1201: cached tokens are among the prompt's",
        ),
        (json.dumps({**CALL, "id": ""}), "line 2: id '': it is blank"),
        (json.dumps({"id": "x"}), "line 2 {'id': 'x'}: Object missing required field `member`"),
    ],
)
def test_a_line_that_is_wrong_is_told_with_its_remedy(line, told):
    with pytest.raises(BadInput, match=re.escape(told)) as caught:
        read_usage(f"{json.dumps(CALL)}\n{line}\n{json.dumps(CALL)}")
    assert caught.value.remedy == "mend the line, then send the file again; nothing was sent"


def test_a_file_may_begin_with_a_mark_and_hold_any_separator_in_its_texts(tmp_path):
    file = tmp_path / "usage.jsonl"
    file.write_text(json.dumps({**CALL, "object": "a\u2028b"}, ensure_ascii=False) + "\n", "utf-8-sig")
    assert len(read_usage(read_lines(file))) == 1
    assert read_usage("") == []


def test_a_file_that_is_no_text_is_told_with_its_remedy(tmp_path):
    file = tmp_path / "usage.jsonl"
    file.write_bytes(json.dumps(CALL).encode() + b"\n\xff\xfe")
    with pytest.raises(BadInput, match=r"byte \d+ is not UTF-8: write it in UTF-8"):
        read_lines(file)


def test_a_long_file_is_sent_in_parts_that_the_venue_takes():
    (record,) = read_usage(json.dumps(CALL))
    records = [msgspec.structs.replace(record, id=f"chatcmpl-{number:040}") for number in range(2_000)]
    parts = list(batches(records))
    assert [record for _, part in parts for record in part] == records
    firsts = [first for first, _ in parts]
    assert firsts[0] == 1
    assert [first + len(part) for first, part in parts] == [*firsts[1:], 2_001]
    for _, part in parts:
        frame = encode(Decide(1, RecordUsage(tuple(part)), "usage"))
        assert BATCH_BYTES // 2 < len(frame) < MESSAGE_BYTES_MAX
    assert list(batches([])) == []

"""Each bug that fuzzing has found, by a short input that shows it."""

from __future__ import annotations

import io
import sys

import msgspec
import pyarrow as pa
import pyarrow.parquet
import pytest

from exchange.cli import bourse
from exchange.cli.provider import read_usage
from exchange.client.errors import BadInput, ProfileError, ProtocolBroken
from exchange.client.queries import QuerySession
from exchange.client.session import Session
from exchange.client.statements import Statement
from exchange.generic_map import read_map
from exchange.image import ImageUnfit, form_of
from exchange.matchfile.columns import BadTable
from exchange.matchfile.commands import CommandFile
from exchange.profiles import load_profile
from exchange.protocol.messages import encode
from exchange.protocol.query_messages import QueryChunk, QueryResult
from exchange.server.merkle import Proof, digest_of, faults_of
from exchange.server.security import ChainBroken, SecurityLog, read
from exchange.settings_file import SettingsError, load
from feeds.documents import definitions_of
from feeds.messages import DEFINITIONS, STATUS, TRADES, Document, UnreadableError
from feeds.messages import read as read_message
from feeds.records import HEADER, STATUS_CHANGE, TRADE_PRINT
from settlement.queries import QueryRefused, QueryService
from settlement.statement_check import BRACKETS_MAX, NESTED, WITHS_MAX, is_nested_too_deeply
from settlement.terms_file import read_terms
from tests.settlement.tape import founded

DEEP = b"\x91" * 2_000
"""Arrays in one another, deeper than a reader goes."""

NO_TEXT = b"M\x81\xa4type\xa3\xff\xfe\xfd"
TOML = ("a = " + "[" * 5_000, "a = " + "1" * 5_000)
"""What Python's reader of TOML raises no error of its own of: a RecursionError, a plain ValueError."""


@pytest.mark.parametrize("frame", [NO_TEXT, b"M" + DEEP])
@pytest.mark.parametrize("conversation", [Session, QuerySession])
def test_a_client_says_that_it_cannot_read_what_is_no_text_or_too_deep(conversation, frame):
    with pytest.raises(ProtocolBroken):
        conversation().receive(frame)


def test_an_answer_of_another_sort_than_was_asked_for_is_told():
    whole, chunk = QueryResult(1, 7, 0, 0.5, b""), QueryChunk(1, 0, 0, b"", 7, True)
    for ask, answer in (("ask_in_chunks", whole), ("ask", chunk)):
        conversation = QuerySession()
        conversation.linked()
        getattr(conversation, ask)(Statement("select 1", ()), *([10] if ask == "ask_in_chunks" else []))
        with pytest.raises(ProtocolBroken):
            conversation.receive(encode(answer))


def head(kind: bytes, count: int) -> bytes:
    return HEADER.pack(kind, 0, 3, 1, 1, 1, 1, count)


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (head(TRADES, 1) + TRADE_PRINT.pack(1, 1, 100, 1, 0, 97, 0), "taker side 97"),
        (head(STATUS, 1) + STATUS_CHANGE.pack(100, 1, 1, 77, 0), "phase 77"),
    ],
)
def test_a_code_of_the_feed_without_a_meaning_is_refused_when_it_is_read(frame, told):
    with pytest.raises(UnreadableError, match=told):
        read_message(frame)


def test_a_document_of_the_feed_that_is_too_deep_is_unreadable():
    with pytest.raises(UnreadableError):
        definitions_of(Document(DEFINITIONS, 0, 1, 1, 1, 1, DEEP))


def test_the_names_of_a_snapshot_that_are_too_deep_are_unfit():
    with pytest.raises(ImageUnfit):
        form_of(DEEP)


@pytest.mark.parametrize("line", [b"\xff\xfe", b'{"x":' + b"[" * 5_000])
def test_a_line_of_the_security_log_that_is_no_text_breaks_the_chain_and_not_the_start(tmp_path, line):
    log = SecurityLog(tmp_path, lambda: 1_795_000_000 * 10**9, lambda: (5, 17))
    log.note("session_begun")
    log.write()
    log.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(line + b"\n" + path.read_bytes() + line + b"\n")
    with pytest.raises(ChainBroken):
        list(read(tmp_path, []))
    SecurityLog(tmp_path, lambda: 1_795_000_000 * 10**9, lambda: (5, 17)).close()


def test_a_proof_whose_act_is_too_deep_does_not_hold():
    leaf = bytes(144) + DEEP
    fields = {"day": "1970-01-01", "sequence": 0, "index": 0, "leaves": 1, "path": (), "is_final": True}
    root = digest_of(leaf).hex()
    proof = msgspec.convert(
        {**fields, "leaf": leaf.hex(), "root": root, "frame": "", "entry": {}}, Proof, strict=False
    )
    assert faults_of(proof, root)[0].startswith("leaf: its act cannot be read")


def test_a_proof_that_is_no_text_ends_with_the_code_of_what_does_not_hold(tmp_path):
    from click.testing import CliRunner

    path = tmp_path / "proof.json"
    for data in (b'{"format": "\xff"}', b'{"x":' + b"[" * 5_000):
        path.write_bytes(data)
        done = CliRunner().invoke(
            bourse, ["audit", "check", str(path), "--root", "00"], catch_exceptions=False
        )
        assert done.exit_code == 4


# --- files that people write -----------------------------------------------------------------------


@pytest.mark.parametrize("text", TOML, ids=("deep", "long"))
def test_toml_that_python_cannot_read_is_told_by_every_reader(tmp_path, text):
    path = tmp_path / "venue.toml"
    path.write_text(text)
    path.chmod(0o600)
    for reader, error in (
        (lambda: load_profile(path), ProfileError),
        (lambda: load(tmp_path, {}), SettingsError),
        (lambda: read_map(path), BadTable),
    ):
        with pytest.raises(error):
            reader()
    with pytest.raises(ValueError, match="terms: "):
        read_terms(text)


@pytest.mark.parametrize(
    "words",
    [
        ("list", "{}", "--why", "x"),
        ("calendar", "{}", "--why", "x"),
        ("admit", "{}", "--why", "x"),
        ("programme", "define", "{}", "--why", "x"),
    ],
)
@pytest.mark.parametrize("text", TOML, ids=("deep", "long"))
def test_toml_that_python_cannot_read_is_wrong_usage(tmp_path, text, words):
    from click.testing import CliRunner

    path = tmp_path / "a.toml"
    path.write_text(text)
    done = CliRunner().invoke(bourse, [word.format(path) for word in words], catch_exceptions=False)
    assert done.exit_code == 2
    assert "a.toml" in done.output


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "a", "member": "b", "model": "c", "created": "x", "usage": {"prompt_tokens" 1}}',
        '{"id": "a", "usage": {"prompt_tokens": 1e400}}',
        '{"usage": [' + "[" * 5_000,
        '{"x": ' + "[" * 5_000,
    ],
)
def test_a_line_of_usage_that_is_wrong_in_two_ways_is_told(line):
    with pytest.raises(BadInput, match="line 1"):
        read_usage(line)


def test_a_torn_row_that_is_no_text_is_told_without_a_traceback(tmp_path, monkeypatch):
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    path = tmp_path / "c.csv"
    path.write_bytes(b"kind,order\nnew,1\nnew,\xff,3\n")
    with pytest.raises(BadTable):
        CommandFile(path).survey()
    assert not said


def test_text_of_a_parquet_that_is_no_utf8_is_told(tmp_path):
    path = tmp_path / "c.parquet"
    out = io.BytesIO()
    table = pa.table({"kind": ["new"], "member": ["marker"], "order": [1]})
    pyarrow.parquet.write_table(table, out, compression="none", use_dictionary=False)
    path.write_bytes(out.getvalue().replace(b"marker", b"\xff\xfe\xfd\xff\xff\xff"))
    opened = CommandFile(path)
    opened.survey()
    with pytest.raises(BadTable):
        list(opened.batches())


@pytest.mark.parametrize("zone", ["Asia", "x" * 5_000, "../../etc", ""])
def test_a_zone_that_is_a_folder_or_too_long_is_told(tmp_path, zone):
    path = tmp_path / "map.toml"
    path.write_text(f"""[columns]\norder = "id"\n[time]\nzone = "{zone}"\n""")
    with pytest.raises(BadTable, match="zone"):
        read_map(path)


# --- SQL -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["from" + "(" * 30_000, "with a as (" * 30, "select 1 from " + "[" * 200])
def test_sql_that_the_parser_would_not_come_back_from_is_refused_unread(text):
    store, _ = founded()
    assert QueryService(store).answer(text, (), "ann") == NESTED


def test_brackets_in_texts_and_remarks_do_not_count():
    text = (
        "select '"
        + "(" * 500
        + "' /* "
        + "(" * 500
        + " */ -- "
        + "(" * 500
        + "\n, "
        + "(" * 50
        + "1"
        + ")" * 50
    )
    assert not is_nested_too_deeply(text)
    store, _ = founded()
    assert not isinstance(QueryService(store).answer(text, (), "ann"), QueryRefused)


def test_a_text_in_the_place_of_a_closing_bracket_hides_nothing():
    assert is_nested_too_deeply("select " + "f(')', 名, " * (BRACKETS_MAX + 1))
    assert is_nested_too_deeply("with a as (select 1) " + "WITH a as (" * (WITHS_MAX + 1))
    assert not is_nested_too_deeply(", ".join(["with a as (select 1)"] * 50))

"""A table of commands as arrays: every column and its default, and what is said of a table that is wrong."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from exchange.matchfile import commands as commandfile
from exchange.matchfile.columns import COLUMNS, WORDS, BadTable
from exchange.matchfile.commands import CommandFile
from matching import COMMAND
from matching.vocabulary import BOTH_SIDES, EVERY, CommandKind, Phase, SelfTrade, Side, TimeInForce
from tests.matchfile.tables import as_parquet, commands_in, parquet, rows_of, written

INT64 = np.iinfo(np.int64)


# --- what a column means -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "said"),
    [(column, said) for column, words in WORDS.items() for said in words.codes],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_each_word_has_its_code(tmp_path, column, said, suffix):
    # A replace without a total would be refused, so each row has one.
    path = written(tmp_path, f"{column},quantity\n{said},1\n,1")
    path = path if suffix == ".csv" else as_parquet(path)
    commands = commands_in(path)
    assert commands[column].tolist() == [WORDS[column].codes[said], WORDS[column].blank]


def test_the_words_are_those_of_the_manual():
    assert list(WORDS["kind"].codes) == ["new", "cancel", "reduce", "replace", "mass_cancel", "phase"]
    assert list(WORDS["side"].codes) == ["buy", "sell"]
    assert list(WORDS["type"].codes) == ["limit", "market", "stop", "stop_limit", "trailing_stop"]
    assert list(WORDS["time_in_force"].codes) == ["gtc", "gtd", "day", "ioc", "fok"]
    assert list(WORDS["self_trade"].codes) == [
        "none",
        "cancel_taker",
        "cancel_maker",
        "cancel_both",
        "decrement",
    ]
    assert list(WORDS["phase"].codes) == [
        "closed",
        "pre_open",
        "no_cancel",
        "auction",
        "continuous",
        "halted",
    ]


@pytest.mark.parametrize(
    "column",
    [
        "order",
        "price",
        "quantity",
        "display_quantity",
        "minimum_quantity",
        "stop_price",
        "trail",
        "time",
        "expires_at",
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_each_whole_number_is_taken_to_its_last_bit(tmp_path, column, suffix):
    path = written(tmp_path, f"{column},side\n{INT64.max},buy\n{INT64.min},buy\n007,buy\n,buy")
    path = path if suffix == ".csv" else as_parquet(path)
    assert commands_in(path)[column].tolist() == [INT64.max, INT64.min, 7, 0]


def test_what_is_left_out_is_the_default(tmp_path):
    commands = commands_in(written(tmp_path, "order\n1"))
    expected = np.zeros(1, COMMAND)
    expected["order"], expected["side"], expected["phase"] = 1, BOTH_SIDES, 255
    assert commands == expected
    assert commands["kind"] == CommandKind.NEW
    assert commands["time_in_force"] == TimeInForce.GTC
    assert commands["self_trade"] == SelfTrade.NONE


def test_a_blank_cell_is_as_good_as_no_column(tmp_path):
    bare = commands_in(written(tmp_path, "order\n1\n2"))
    columns = [column for column in COLUMNS if column != "order"]
    blanks = "," * len(columns)
    path = written(tmp_path, f"order,{','.join(columns)}\n1{blanks}\n2{blanks}")
    assert commands_in(path).tobytes() == bare.tobytes()
    assert commands_in(as_parquet(path)).tobytes() == bare.tobytes()


def test_instruments_are_numbered_as_they_turn_up(tmp_path):
    path = written(tmp_path, "instrument\nGLM\nQWEN\nGLM\nKIMI")
    file = CommandFile(path)
    file.survey()
    assert (file.instruments, file.count) == (["GLM", "QWEN", "KIMI"], 4)
    assert commands_in(path)["instrument"].tolist() == [0, 1, 0, 2]


def test_a_blank_instrument_is_all_of_them_or_the_one_without_a_name(tmp_path):
    path = written(
        tmp_path,
        """
        kind,        instrument, quantity
        phase,       ,
        new,         GLM,        1
        mass_cancel, ,
        cancel,      ,
        ,            ,           1
        new,         ,           1
        """,
    )
    for table in (path, as_parquet(path)):
        file = CommandFile(table)
        file.survey()
        assert file.instruments == ["GLM", ""]
        assert commands_in(table)["instrument"].tolist() == [EVERY, 0, EVERY, EVERY, 1, 1]


def test_no_book_is_made_for_nobody(tmp_path):
    """A blank phase or mass cancel is of all books, and no order of a nameless one."""
    file = CommandFile(written(tmp_path, "kind,instrument\nphase,\nmass_cancel,\nnew,GLM"))
    file.survey()
    assert file.instruments == ["GLM"]


def test_members_and_groups_share_one_set_of_names(tmp_path):
    path = written(tmp_path, "member,group\nann,\nbob,ann\n7,acme\nann,acme\n,\n,acme")
    for table in (path, as_parquet(path)):
        commands = commands_in(table)
        ann, bob, seven, again, nameless, _ = commands["member"].tolist()
        assert ann == again
        assert len({ann, bob, seven, nameless}) == 4
        acme = commands["group"][2]
        assert commands["group"].tolist() == [ann, ann, acme, acme, nameless, acme]
        assert min(*commands["member"], *commands["group"]) == 0


def test_a_member_keeps_the_number_from_batch_to_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(commandfile, "BLOCK_BYTES", 64)
    members = [f"m{number % 7}" for number in range(500)]
    path = written(tmp_path, "\n".join(["member", *members]))
    numbers = commands_in(path)["member"]
    assert len(set(zip(members, numbers.tolist(), strict=True))) == 7


def test_a_blank_member_is_the_owner_or_all_or_the_one_without_a_name(tmp_path):
    path = written(
        tmp_path,
        """
        kind,        member, quantity
        new,         ann,    1
        cancel,      ,
        reduce,      ,       1
        replace,     ,       1
        mass_cancel, ,
        new,         ,       1
        """,
    )
    assert commands_in(path)["member"].tolist() == [0, EVERY, EVERY, EVERY, EVERY, 1]


# --- what Parquet brings -----------------------------------------------------------------------


def test_parquet_comes_in_many_types(tmp_path):
    path = parquet(
        tmp_path,
        kind=pa.array(["new", "phase", ""]).dictionary_encode(),
        instrument=pa.array([600_519, None, 600_519]),
        member=pa.array(["ann", "", None], pa.large_string()),
        group=pa.array([None, None, 7], pa.uint8()),
        order=pa.array([1, 2, 3], pa.uint64()),
        side=pa.array(["buy", None, "sell"], pa.string_view()),
        price=pa.array(["100", "", None]),
        quantity=pa.array([5, None, 6], pa.int16()).dictionary_encode(),
        stop_price=pa.nulls(3),
        trail=pa.nulls(3, pa.float64()),
        post_only=pa.array([True, None, False]),
        phase=pa.nulls(3),
    )
    commands = commands_in(path)
    assert commands["kind"].tolist() == [CommandKind.NEW, CommandKind.PHASE, CommandKind.NEW]
    assert commands["instrument"].tolist() == [0, EVERY, 0]
    assert commands["member"].tolist() == [0, EVERY, 1]
    assert commands["group"].tolist() == [0, EVERY, 2]
    assert commands["order"].tolist() == [1, 2, 3]
    assert commands["side"].tolist() == [Side.BUY, BOTH_SIDES, Side.SELL]
    assert commands["price"].tolist() == [100, 0, 0]
    assert commands["quantity"].tolist() == [5, 0, 6]
    assert commands["post_only"].tolist() == [1, 0, 0]


def test_a_data_frames_true_and_false_are_taken(tmp_path):
    assert commands_in(written(tmp_path, "post_only\nTrue\nFalse"))["post_only"].tolist() == [1, 0]


def test_a_csv_may_have_a_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "commands.csv"
    path.write_bytes("\ufeffkind,phase\r\nphase,halted\r\n\r\nphase,closed\r\n".encode())
    assert commands_in(path)["phase"].tolist() == [Phase.HALTED, Phase.CLOSED]


def test_quoted_names_keep_their_commas(tmp_path):
    path = tmp_path / "commands.csv"
    path.write_text('instrument,order\n"GLM, 4.5",1\n')
    file = CommandFile(path)
    file.survey()
    assert file.instruments == ["GLM, 4.5"]


def test_a_table_without_rows_is_a_table(tmp_path):
    file = CommandFile(written(tmp_path, "kind,order"))
    file.survey()
    assert (file.instruments, file.count, list(file.batches())) == ([], 0, [])


# --- what is wrong -----------------------------------------------------------------------------


def told_of(path):
    with pytest.raises(BadTable) as caught:
        commands_in(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind\nnew\nnwe", "row 2, column kind: 'nwe' is not one of new, cancel, reduce, replace, "
                           "mass_cancel, phase"),
        ("time_in_force\n\ngtx", "row 1, column time_in_force: 'gtx' is not one of gtc, gtd, day, ioc, fok"),
        ("side,order\n,\nBuy,", "row 2, column side: 'Buy' is not one of buy, sell; write it in lower case"),
        ("type\nstop-limit", "row 1, column type: 'stop-limit' is not one of limit, market, stop, "
                             "stop_limit, trailing_stop"),
        ("post_only\nyes", "row 1, column post_only: 'yes' is not one of true, false, 1, 0, True, False"),
        ("self_trade\ncancel", "row 1, column self_trade: 'cancel' is not one of none, cancel_taker, "
                               "cancel_maker, cancel_both, decrement"),
        ("price,order\n1,1\n12.5,1\nx,1", "row 2, column price: '12.5' is not a whole number; prices are in "
                                          "hao, quantities in lots, times in nanoseconds"),
        ("order\nabc", "row 1, column order: 'abc' is not a whole number; prices are in hao, quantities in "
                       "lots, times in nanoseconds"),
        ("order\n7\n0x10", "row 2, column order: '0x10' is not a whole number; prices are in hao, "
                           "quantities in lots, times in nanoseconds"),
        ("order\n1e3", "row 1, column order: '1e3' is not a whole number; prices are in hao, quantities in "
                       "lots, times in nanoseconds"),
        (f"quantity\n{INT64.max}\n{INT64.max + 1}", "row 2, column quantity: '9223372036854775808' does not "
         "fit into 64 bits; write a whole number of at most 9223372036854775807"),
        (f"time\n{INT64.min - 1}", "row 1, column time: '-9223372036854775809' does not fit into 64 bits; "
                                   "write a whole number of at most 9223372036854775807"),
        ("kind,quantity\nreplace,0\nreplace,", "row 2, column quantity: a replace needs the order's new "
                                               "total; write it, or 0 to cancel what is open"),
        ("kind,order\nnew,1\nreplace,1", "row 2, column quantity: a replace needs the order's new total; "
                                         "write it, or 0 to cancel what is open"),
        ("order,price\n1,2\n1,2,3", "row 2: 3 cells under 2 columns; a blank cell has its comma too"),
        ("order,price\n1", "row 1: 1 cells under 2 columns; a blank cell has its comma too"),
        ("order,prise\n1,2", f"column 'prise' is unknown; the nearest known is 'price'; there are "
                             f"{', '.join(COLUMNS)}"),
        ("order,price,order\n1,2,3", "column 'order' stands there 2 times; leave one"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_row_and_its_remedy(tmp_path, text, told):
    assert told_of(written(tmp_path, text)) == f"commands.csv: {told}"


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("price", pa.array([None, 100.0]), "row 2, column price: 100.0 is of type double; write whole "
                                           "numbers (in a data frame: Int64, which knows blanks)"),
        ("order", pa.array([True]), "row 1, column order: True is of type bool; write whole numbers (in a "
                                    "data frame: Int64, which knows blanks)"),
        ("order", pa.array([1, 2**63], pa.uint64()), "row 2, column order: 9223372036854775808 does not fit "
         "into 64 bits; write a whole number of at most 9223372036854775807"),
        ("order", pa.array([None, "", "x"]), "row 3, column order: 'x' is not a whole number; prices are in "
                                             "hao, quantities in lots, times in nanoseconds"),
        ("member", pa.array([7.0]), "row 1, column member: 7.0 is of type double; write text or whole "
                                    "numbers"),
        ("kind", pa.array([None, 0]), "row 2, column kind: '0' is not one of new, cancel, reduce, replace, "
                                      "mass_cancel, phase"),
        ("qty", pa.array([1]), f"column 'qty' is unknown; the nearest known is 'type'; there are "
                               f"{', '.join(COLUMNS)}"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_parquet_is_told_likewise(tmp_path, column, values, told):
    assert told_of(parquet(tmp_path, **{column: values})) == f"commands.parquet: {told}"


def test_rows_are_counted_through_all_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(commandfile, "BLOCK_BYTES", 256)
    monkeypatch.setattr(commandfile, "BATCH_ROWS", 100)
    path = written(tmp_path, "\n".join(["order,price", *["1,2"] * 4_321, "1,x", "1,2"]))
    told = "row 4322, column price: 'x' is not a whole number"
    assert told_of(path).startswith(f"commands.csv: {told}")
    assert told_of(as_parquet(path)).startswith(f"commands.parquet: {told}")
    path = written(tmp_path, "\n".join(["order,price", *["1,2"] * 4_321, "1,2,3", "1,2"]))
    assert told_of(path).startswith("commands.csv: row 4322: 3 cells under 2 columns")


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("commands.csv", b"", "commands.csv: cannot be read as a CSV in UTF-8: Empty CSV file"),
        (
            "commands.csv",
            b"member\n\xff\n",
            "commands.csv: cannot be read as a CSV in UTF-8: In CSV column #0",
        ),
        ("commands.csv", b"\xff\n1\n", "commands.csv: cannot be read as a CSV in UTF-8: 'utf-8' codec"),
        ("commands.parquet", b"kind\nnew\n", "commands.parquet: cannot be read as Parquet: "),
        ("commands.xlsx", b"", "commands.xlsx: the suffix tells the format; name the file .csv or .parquet"),
        ("commands", b"", "commands: the suffix tells the format; name the file .csv or .parquet"),
    ],
)
def test_a_file_that_is_no_table_is_told_so(tmp_path, name, data, told):
    path = tmp_path / name
    path.write_bytes(data)
    assert told_of(path).startswith(told)


def test_the_suffix_may_be_large(tmp_path):
    path = written(tmp_path, "order\n1").rename(tmp_path / "COMMANDS.CSV")
    assert commands_in(path)["order"].tolist() == [1]
    assert rows_of(path) == [{"order": 1}]

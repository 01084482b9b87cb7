"""Analysts may ask anything of the tables, and touch nothing else."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from settlement.queries import Answer, QueryLimits, QueryRefused, QueryService
from settlement.store import Store, describe
from tests.settlement.tape import ANN, BOB, CAT, a_day, founded, rows, settle


def questions(name: str) -> list[str]:
    """Return the statements of a file beside this one: one a line, each of one kind."""
    return (Path(__file__).parent / "questions" / f"{name}.sql").read_text("utf-8").splitlines()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store, tape = founded(tmp_path_factory.mktemp("venue") / "settlement.duckdb")
    settle(store, a_day(tape))
    yield store
    store.close()


@pytest.fixture(scope="module")
def service(store):
    return QueryService(store)


def table(answer: Answer | QueryRefused) -> pa.Table:
    assert isinstance(answer, Answer), answer
    return pa.ipc.open_stream(answer.arrow_ipc_stream).read_all()


def refusal(answer: Answer | QueryRefused) -> QueryRefused:
    if isinstance(answer, Answer):
        pytest.fail(f"it was answered, with {answer.rows} rows")
    return answer


# --- what Arrow cannot hold --------------------------------------------------------------------


@pytest.mark.parametrize("chunk_rows", [0, 10])
@pytest.mark.parametrize(
    "what",
    ["map{}", "[map{}]", "{'a': [map{}]}", "map{1: map{}}", "union_value(a := map{})", "histogram(null)"],
)
def test_a_map_without_a_type_of_keys_is_refused_for_it_would_end_the_process(service, what, chunk_rows):
    question = service.question(f"select {what} as it from range(3)")  # noqa: S608
    answer = question.next_chunk(chunk_rows) if chunk_rows else question.answer()
    question.close()
    assert refusal(answer).code == "construct"


def test_a_map_is_answered(service):
    answer = service.answer(
        "select map{'a': 1} as it, histogram(quantity) as h, map{}::json as t from trades"
    )
    assert table(answer).num_rows == 1


# --- answers ---------------------------------------------------------------------------------


def test_a_question_is_answered_as_arrow_at_one_sequence(service, store):
    answer = service.answer("select trade, buyer, amount from trades order by trade limit 2")
    assert table(answer).to_pylist() == [
        {"trade": 1, "buyer": "ann", "amount": 3_300_000},
        {"trade": 2, "buyer": "ann", "amount": 1_100_000},
    ]
    assert isinstance(answer, Answer)
    assert (answer.rows, answer.sequence) == (2, store.watermark.sequence)
    assert answer.seconds > 0


@pytest.mark.parametrize("parameters", [["GLM-5"], ("GLM-5",)])
def test_values_are_bound_by_place(service, parameters):
    answer = service.answer("select count(*) as n from trades where instrument = $1", parameters)
    assert table(answer).to_pylist() == [{"n": 1}]


def test_values_are_bound_by_name(service):
    answer = service.answer("select sum(quantity) as lots from trades where buyer = $who", {"who": "ann"})
    assert table(answer).to_pylist() == [{"lots": 48}]


def test_a_bound_value_is_never_read_as_sql(service):
    assert table(service.answer("select $1 as said", ["'; drop table x --"])).to_pylist() == [
        {"said": "'; drop table x --"}
    ]


def test_sums_of_money_are_int64(service):
    assert table(service.answer("select sum(amount) from trades")).schema.types == [pa.int64()]


def test_a_sum_beyond_int64_stays_exact(service):
    answer = service.answer("select sum(9223372036854775807) as much from range(4)")
    assert int(table(answer).to_pylist()[0]["much"]) == 4 * (2**63 - 1)


def test_an_answer_without_rows_has_its_columns(service):
    assert table(service.answer("select trade, buyer from trades where false")).schema.names == [
        "trade",
        "buyer",
    ]


@pytest.mark.parametrize("sql", questions("fair"))
def test_a_fair_question_is_answered(service, sql):
    table(service.answer(sql))


# --- refusals --------------------------------------------------------------------------------

HOSTILE = [
    pytest.param(code, line, id=f"{code}: {line[:60]}")
    for code in ("statement", "construct", "table", "function", "one_statement", "sql")
    for line in questions(code)
]


@pytest.mark.parametrize(("code", "line"), HOSTILE)
def test_a_hostile_statement_is_refused_before_it_runs(service, store, tmp_path, code, line):
    database = rows(store, "select path from duckdb_databases() where not internal")[0][0]
    sql = line.replace("{folder}", str(tmp_path)).replace("{database}", str(database))
    told = refusal(service.answer(sql))
    assert told.code == code, told
    assert told.remedy
    refusal(service.answer(sql, viewer="cat"))
    assert list(tmp_path.iterdir()) == []
    assert rows(store, "select count(*) from trades") == [(5,)]


def test_a_chunk_of_a_hostile_statement_is_refused_too(service):
    question = service.question("with x as (copy trades to 'x.csv') select 1")
    told = question.next_chunk(10)
    question.close()
    assert isinstance(told, QueryRefused)
    assert told.code == "construct"


def test_without_the_statement_check_the_databases_own_files_lie_open(tmp_path):
    """The canary: what the walls behind it let through, in a read-only transaction."""
    path = tmp_path / "settlement.duckdb"
    store, _ = founded(path)
    cursor = store.cursor()
    cursor.execute("begin transaction read only")
    blob = f"select size from read_blob('{path}')"  # noqa: S608
    ((size,),) = cursor.execute(blob).fetchall()
    assert size > 0
    cursor.execute(f"copy (select 1) to '{path}.wal.checkpoint' (format csv)")
    cursor.execute("attach ':memory:' as other")
    cursor.close()
    for sql in (blob, f"copy (select 1) to '{path}.wal.checkpoint'"):
        refusal(QueryService(store).answer(sql))
    store.close()


def test_behind_the_statement_check_stand_two_more_walls(store):
    cursor = store.cursor()
    cursor.execute("begin transaction read only")
    for sql in ("delete from base.trades", "select * from read_text('/etc/passwd')", "set threads = 2"):
        with pytest.raises(duckdb.Error, match=r"read-only|disabled by configuration|locked"):
            cursor.execute(sql)
        cursor.execute("rollback")
        cursor.execute("begin transaction read only")


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("select $1", [object()]),
        ("select $1", [2**200]),
        ("select $1", ["\ud800"]),
        ("select \ud800", []),
        ("select $1, $2", [1]),
        ("select 1", [1]),
        ("select $x", {"y": 1}),
    ],
)
def test_values_that_do_not_fit_are_refused(service, sql, parameters):
    assert refusal(service.answer(sql, parameters)).code == "sql"


def test_a_statement_nested_too_deeply_is_refused(service):
    assert refusal(service.answer("select " + " + ".join(["1"] * 5000))).code == "sql"
    assert refusal(service.answer("select " + " + ".join(["1"] * 900))).value == "nested too deeply"


def test_a_statement_may_not_be_endless(service):
    told = refusal(service.answer("select '" + "x" * 70_000 + "'"))
    assert (told.code, told.value) == ("too_long", "70009 letters")


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from range(1000000000) as a, range(1000000000) as b",
        "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r",
        "select a.range from range(1000000000) as a order by hash(a.range) limit 1",
    ],
)
def test_what_takes_too_long_is_stopped(store, sql):
    service = QueryService(store, QueryLimits(timeout_ms=100))
    told = refusal(service.answer(sql))
    assert (told.code, told.value) == ("timeout", "100 ms")
    service.limits = QueryLimits()  # what follows is answered, however busy the machine is
    assert table(service.answer("select 1 as one")).to_pylist() == [{"one": 1}]


@pytest.mark.parametrize(
    "sql",
    [
        # a text that doubles with each step, and never ends
        "with recursive r(s, n) as (select repeated, 1 from (select string_agg('x', '') as repeated "
        "from range(100000)) union all select s || s, n + 1 from r) select max(len(s)) from r",
        "select len(string_agg(i::varchar, 'xxxxxxxxxxxxxxxx')) from range(1000000000) as t(i)",
        "select len(list(i)) from range(1000000000) as t(i)",
    ],
)
def test_a_bomb_of_memory_is_stopped_by_how_the_process_grows(store, sql):
    service = QueryService(store, QueryLimits(memory_growth=64 * 1024 * 1024, timeout_ms=20_000))
    assert refusal(service.answer(sql)).code == "memory"
    assert table(service.answer("select 1 as one")).to_pylist() == [{"one": 1}]


def test_what_takes_too_much_memory_is_refused():
    store = Store.open(memory_bytes=40_000_000)
    told = refusal(QueryService(store).answer("select len(list(i)) from range(100000000) as t(i)"))
    assert told.code == "memory"
    store.close()


def test_a_row_that_cannot_be_made_refuses_the_answer_however_late_it_comes(service):
    sql = "select (i || case when i = 400000 then 'x' else '' end)::int from range(500000) t(i)"
    told = refusal(service.answer(sql))
    assert told.code == "sql"
    assert "400000x" in told.value


def test_an_answer_has_at_most_so_many_rows(store):
    service = QueryService(store, QueryLimits(rows=10))
    assert len(table(service.answer("from range(10)"))) == 10
    assert refusal(service.answer("from range(11)")).code == "rows"
    assert refusal(service.answer("from range(100000000000)")).code == "rows"


def test_an_answer_has_at_most_so_many_bytes(store):
    service = QueryService(store, QueryLimits(answer_bytes=100_000))
    assert len(table(service.answer("from range(1000)"))) == 1000
    assert refusal(service.answer("from range(100000)")).code == "bytes"


# --- beside the writer -----------------------------------------------------------------------


def test_questions_are_answered_while_the_writer_commits(tmp_path):
    store, tape = founded(tmp_path / "settlement.duckdb")
    service = QueryService(store)
    asked = "select count(*) as n, coalesce(max(sequence), 1) as last from orders"
    seen: list[tuple[int, int, int]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answer = service.answer(asked)
            row = table(answer).to_pylist()[0]
            assert isinstance(answer, Answer)
            seen.append((row["n"], row["last"], answer.sequence))

    reader = threading.Thread(target=ask)
    reader.start()
    try:
        for _ in range(60):
            for _ in range(5):
                tape.buy(ANN, 1, 100)
            settle(store, tape)
    finally:
        done.set()
        reader.join()
    assert seen == sorted(seen)
    assert all(last == sequence == 1 + count for count, last, sequence in seen)
    assert table(service.answer(asked)).to_pylist() == [{"n": 300, "last": 301}]
    store.close()


def test_a_service_holds_no_file_open(tmp_path):
    path = tmp_path / "settlement.duckdb"
    store, _ = founded(path)
    service = QueryService(store)
    table(service.answer("from members"))
    store.close()
    Store.open(path).close()


# --- a firm's own view -----------------------------------------------------------------------


def test_a_firm_sees_the_public_history_without_names(service):
    answer = service.answer(
        "select trade, price, quantity, buyer, seller, buy_order from trades", viewer="cat"
    )
    assert table(answer).to_pylist() == [
        {"trade": 1, "price": 110_000, "quantity": 30, "buyer": None, "seller": None, "buy_order": None},
        {"trade": 2, "price": 110_000, "quantity": 10, "buyer": None, "seller": None, "buy_order": None},
        {"trade": 3, "price": 110_000, "quantity": 20, "buyer": "cat", "seller": None, "buy_order": 3},
        {"trade": 4, "price": 109_000, "quantity": 5, "buyer": "cat", "seller": None, "buy_order": 4},
        {"trade": 5, "price": 80_000, "quantity": 8, "buyer": None, "seller": None, "buy_order": None},
    ]


@pytest.mark.parametrize("name", ["orders", "executions", "refusals", "postings", "members"])
def test_a_firm_sees_its_own_rows_alone(service, name):
    found = table(service.answer(f"from {name}", viewer="cat"))
    assert found["member"].unique().to_pylist() == ["cat"]


@pytest.mark.parametrize(
    "name", ["bars_1m", "fixings", "instruments", "obligations", "phases", "programmes", "terms", "watermark"]
)
def test_everybody_sees_what_is_public(service, name):
    assert table(service.answer(f"from {name}", viewer="cat")) == table(service.answer(f"from {name}"))


def test_a_firm_finds_every_table_that_there_is(service, store):
    public: dict[str, list[str]] = {}
    for column in describe(store):
        public.setdefault(column.table, []).append(column.column)
    for name, columns in public.items():
        assert table(service.answer(f"from {name} limit 0", viewer="cat")).schema.names == columns


@pytest.mark.parametrize(
    "sql",
    [
        "from main.trades",
        "from main.orders",
        "from base.orders",
        "with orders as (from main.orders) from orders",
        "explain analyze select * from orders",
    ],
)
def test_a_firm_cannot_step_round_its_view(service, sql):
    assert refusal(service.answer(sql, viewer="cat")).code in {"table", "statement"}


@pytest.mark.parametrize("name", ["orders", "executions", "refusals", "postings", "members"])
def test_a_firms_condition_is_never_tried_on_others_rows(service, name):
    """Its errors would tell what stands in them."""
    sql = f"from {name} where case when member = 'cat' then 1 else member::integer end > 0"
    assert table(service.answer(sql, viewer="cat")).num_rows > 0
    assert "Could not convert string" in refusal(service.answer(sql)).value


@pytest.mark.parametrize("viewer", ["", "nobody", "cat' or 'a' = 'a", "'"])
def test_a_strange_name_sees_nothing(service, viewer):
    assert table(service.answer("from orders", viewer=viewer)).num_rows == 0


def test_who_asks_last_is_not_who_asked_before(service):
    for viewer, number in ((ANN, "ann"), (BOB, "bob"), (CAT, "cat")):
        found = table(service.answer("select distinct member from orders", viewer=number)).to_pylist()
        assert found == [{"member": number}], viewer
    assert len(table(service.answer("select distinct member from orders"))) == 3

"""Stack traces and other lines that belong together: in one record, over records, over cuts, and interleaved."""

from __future__ import annotations

import pytest

from streams.core.events import LineAt, Slice
from streams.ingest import traces
from tests.ingest.given import Given, at, cut, cut_values, detected, json, only, slicer, tallied

STAMP = "2024-02-01 10:00:00,250"
AT = at("2024-02-01T10:00:00.250")

TRACES = {
    "Java": f"""\
{STAMP} ERROR [main] c.s.Orders - order 19 not stored
java.lang.IllegalStateException: order 19 not stored
\tat com.shop.Orders.store(Orders.java:42)
\tat java.base/java.lang.Thread.run(Thread.java:840)
\tSuppressed: java.io.IOException: stream is closed
\t\tat com.shop.Orders.close(Orders.java:50)
Caused by: java.sql.SQLException: database is locked
\tat org.sqlite.core.DB.newSQLException(DB.java:1179)
\t... 12 more""",
    "Python": f"""\
{STAMP} - shop.db - ERROR - order 19 not stored
Traceback (most recent call last):
  File "/srv/shop/orders.py", line 42, in store
    cursor.execute(statement)
    ^^^^^^^^^^^^^^^^^^^^^^^^^
sqlite3.OperationalError: database is locked""",
    "Python, chained": f"""\
{STAMP} - shop.db - ERROR - order 19 not stored
Traceback (most recent call last):
  File "/srv/shop/orders.py", line 42, in store
    cursor.execute(statement)
sqlite3.OperationalError: database is locked

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/shop/orders.py", line 44, in store
    raise OrderError(order) from error
shop.errors.OrderError: 19

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/main.py", line 7, in main
    raise SystemError
SystemError""",
    "Go": f"""\
{STAMP} ERROR panic: database is locked
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a0e1f]

goroutine 7 [running]:
main.(*Orders).Store(0xc000010030, {{0x4d2a80, 0xc0000140a0}})
\t/src/orders.go:42 +0x1d
github.com/shop/db.Exec(...)
\t/src/db/exec.go:7
created by main.start in goroutine 1
\t/src/main.go:10 +0x25
exit status 2""",
    "Node.js": f"""\
{STAMP} ERROR Error: database is locked
    at Orders.store (/srv/shop/orders.js:42:11)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5) {{
  code: 'SQLITE_BUSY'
}}""",
    ".NET": f"""\
{STAMP} ERROR Unhandled exception. System.InvalidOperationException: order 19 not stored
 ---> Microsoft.Data.Sqlite.SqliteException (0x80004005): SQLite Error 5: 'database is locked'.
   at Microsoft.Data.Sqlite.SqliteCommand.ExecuteReader() in /_/src/SqliteCommand.cs:line 290
--- End of stack trace from previous location ---
   at Shop.Orders.Store(Order order) in /src/Orders.cs:line 42""",
    "Ruby": f"""\
{STAMP} ERROR SQLite3::BusyException: database is locked
app/models/order.rb:42:in `store'
app/controllers/orders_controller.rb:7:in `create'
\tfrom bin/rails:4:in `<main>'""",
    "PHP": f"""\
{STAMP} ERROR PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000]: database is locked in /srv/orders.php:42
Stack trace:
#0 /srv/orders.php(42): PDO->exec('INSERT')
#1 /srv/index.php(7): store(Object(Order))
#2 {{main}}
  thrown in /srv/orders.php on line 42""",
    "Rust": f"""\
{STAMP} ERROR thread 'main' panicked at src/orders.rs:42:9:
called `Result::unwrap()` on an `Err` value: SqliteFailure: database is locked
stack backtrace:
   0: rust_begin_unwind
             at /rustc/07dca48/library/std/src/panicking.rs:652:5
   1: shop::orders::store
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.""",
    "Elixir": f"""\
{STAMP} [error] GenServer Shop.Orders terminating
** (Exqlite.Error) database is locked
    (ecto_sql 3.10.1) lib/ecto/adapters/sql.ex:1047: Ecto.Adapters.SQL.raise_sql_call_error/1""",
    "PostgreSQL": """\
2024-02-01 10:00:00.250 UTC [7] shop@db ERROR:  deadlock detected
2024-02-01 10:00:00.250 UTC [7] shop@db DETAIL:  Process 7 waits for ShareLock on transaction 5; blocked by process 8.
\tProcess 8 waits for ShareLock on transaction 6; blocked by process 7.
2024-02-01 10:00:00.250 UTC [7] shop@db HINT:  See server log for query details.
2024-02-01 10:00:00.250 UTC [7] shop@db STATEMENT:  UPDATE orders
\tSET state = 'sent'
\tWHERE id = 19""",
    "a container runtime, in parts": """\
2024-02-01T10:00:00.250000000Z stderr P a line that is longer than the runtime takes,
2024-02-01T10:00:00.250000000Z stderr P so that it is cut,
2024-02-01T10:00:00.250000000Z stderr F and says at its end: database is locked""",
    "a container runtime, a trace": """\
2024-02-01T10:00:00.250000001Z stderr F Exception in thread "main" java.lang.IllegalStateException: order 19
2024-02-01T10:00:00.250000002Z stderr F \tat com.shop.Orders.store(Orders.java:42)
2024-02-01T10:00:00.250000003Z stderr F Caused by: java.sql.SQLException: database is locked
2024-02-01T10:00:00.250000004Z stderr F \t... 12 more""",
}
NEXT = "2024-02-01 10:00:01 INFO ready"


def lines_of(name: str) -> list[bytes]:
    """Return the lines of a trace that are not blank."""
    return [line.encode() for line in TRACES[name].split("\n") if line]


def places(slices: list[Slice]) -> set[tuple[str, LineAt, int]]:
    """Return service, first place and time of everything that was detected."""
    return {(one.service, one.lines[0], one.at_first_ms) for piece in slices for one in piece.detections}


@pytest.mark.parametrize("name", TRACES)
def test_in_one_record(name: str) -> None:
    """The lines of a trace in one record are one detection of what it shows, at its head, and each is counted."""
    piece = only(cut(Given(f"{TRACES[name]}\n{NEXT}".encode(), key=b"orders")))
    (found,) = piece.detections
    assert found.pattern in {"database_lock", "deadlock"}
    assert (found.count, found.lines, found.at_first_ms, found.service) == (
        1,
        (LineAt(offset=0, index=0),),
        AT,
        "orders",
    )
    assert piece.lines == len(lines_of(name)) + 1


@pytest.mark.parametrize("name", TRACES)
def test_over_records(name: str) -> None:
    """What a trace over several records shows is detected at its head, with the head's service and time."""
    values = [*lines_of(name), NEXT.encode()]
    given = [Given(value, offset=offset, key=b"orders") for offset, value in enumerate(values)]
    piece = only(cut(*given))
    assert places([piece]) == {("orders", LineAt(offset=0, index=0), AT)}
    assert sum(found.count for found in piece.detections if found.pattern) >= 1
    assert sum(found.count for found in piece.detections if not found.pattern) <= 1
    assert piece.lines == len(values)


@pytest.mark.parametrize("name", TRACES)
def test_over_cuts(name: str) -> None:
    """However the records of a trace are split into cuts, counts and detections are the same."""
    given = [Given(value, offset=offset, key=b"orders") for offset, value in enumerate(lines_of(name))]
    whole = [only(cut(*given))]
    for split in range(1, len(given)):
        by = slicer()
        parts = [only(cut(*given[:split], by=by)), only(cut(*given[split:], by=by))]
        assert tallied(parts) == tallied(whole)
        assert detected(parts) == detected(whole)


@pytest.mark.parametrize("name", TRACES)
def test_interleaved(name: str) -> None:
    """Two services whose records alternate in a partition keep their traces apart by the records' keys."""
    one = lines_of(name)
    other = lines_of("Java" if name != "Java" else "Python")
    rows = [
        row
        for n in range(max(len(one), len(other)))
        for row in ((b"one", one[n : n + 1]), (b"other", other[n : n + 1]))
    ]
    values = [(key, value[0]) for key, value in rows if value]
    piece = only(cut(*(Given(value, offset=offset, key=key) for offset, (key, value) in enumerate(values))))
    assert places([piece]) == {("one", LineAt(offset=0, index=0), AT), ("other", LineAt(offset=1, index=0), AT)}


def test_json_frames() -> None:
    """Frames in JSON records of one service show up at the line of that service that told of the trouble."""
    lines = [line.decode() for line in lines_of("Java")]
    frames = [json(ts="2024-02-01T10:00:00.250Z", service="orders", message=line) for line in lines]
    others = [json(ts="2024-02-01T10:00:00.250Z", service="cart", message=f"item {n}") for n in range(len(frames))]
    piece = only(cut_values(*(value for pair in zip(frames, others, strict=True) for value in pair)))
    (found,) = [one for one in piece.detections if one.pattern]
    assert (found.service, found.pattern, found.count) == ("orders", "database_lock", 1)
    assert found.lines[0].offset < 12
    assert piece.lines == 2 * len(frames)


APART = {
    "another process's detail": (
        "2024-02-01 10:00:00.250 UTC [7] LOG:  checkpoint starting",
        "2024-02-01 10:00:00.251 UTC [8] DETAIL:  No space left on device",
    ),
    "a line with a stamp": (f"{STAMP} INFO started", f"{STAMP} ERROR No space left on device"),
    "a level that looks like an end": (
        f"{STAMP} INFO started\n  File a.py, line 1",
        "ERROR: No space left on device",
    ),
    "an exception after a head without a stamp": ("started", "java.io.IOException: No space left on device"),
    "a call that is no frame": (f"{STAMP} INFO started", "db.exec(1) No space left on device"),
    "a whole line of a container runtime": (
        "2024-02-01T10:00:00.250000000Z stdout F started",
        "2024-02-01T10:00:00.250000000Z stdout F No space left on device",
    ),
}


@pytest.mark.parametrize("name", APART)
def test_apart(name: str) -> None:
    """A line that only resembles a part of the one before stands for itself."""
    head, line = (text.encode() for text in APART[name])
    (found,) = only(cut_values(head, line, key=b"orders")).detections
    assert (found.pattern, found.lines) == ("disk_full", (LineAt(offset=1, index=0),))


def test_an_exception_that_comes_late() -> None:
    """An exception in a record of its own belongs to the line before when it comes at once, not after seconds."""
    head = Given(f"{STAMP} ERROR order 19 not stored".encode(), key=b"orders")
    full = b"java.io.IOException: No space left on device"
    places_ = []
    for delay_ms in (1_000, 6_000):
        late = Given(full, offset=1, key=b"orders", timestamp=head.timestamp + delay_ms)
        places_ += [one.lines[0].offset for one in only(cut(head, late)).detections if one.pattern]
    assert places_ == [0, 1]


@pytest.mark.parametrize(
    ("line", "level", "service", "clock"),
    [
        (b"2024-02-01T10:00:00.250000000Z stderr F <3>nginx[7]: x", "error", "logs", "10:00:00.250"),
        (b"2024-02-01T10:00:00.250+00:00 stdout F 2024-02-01T09:59:59Z h nginx[7]: x", "info", "nginx", "09:59:59"),
        (b"2024-02-01T10:00:00.250000000Z stdout P Feb  1 09:59:58 h nginx[7]: x", "info", "nginx", "09:59:58"),
        (b"2024-02-01T10:00:00.250000000Z stderr F x", "info", "logs", "10:00:00.250"),
    ],
)
def test_runtime_prefix(line: bytes, level: str, service: str, clock: str) -> None:
    """What a container runtime writes before a line is taken off before the line's own head is read."""
    piece = only(cut_values(line))
    assert piece.tallies[0].at_ms == at(f"2024-02-01T{clock}") // 1000 * 1000
    assert (piece.tallies[0].service, piece.tallies[0].severity) == (service, level)


@pytest.mark.parametrize("unit", [b".b", b"/b", b"b", b"[.", b"a.", b"B", b"Bb.", b"a/b.", b"x(*"])
def test_a_long_name_that_is_nothing_is_told_in_one_pass(unit: bytes) -> None:
    """A name of thousands of parts below a trace's frames is no frame; trying all ways to part it would never end."""
    line = b"a" + unit * (8192 // len(unit)) + b"!"
    assert not traces.frame_within(line)
    assert not traces.ends(line)
    assert not traces.is_exception(line)

"""`bourse demo`: a market on the real catalogue, watched, settled and proven in one command."""

from __future__ import annotations

import csv
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import click
import msgspec
import zmq

from exchange.client.answers import Order
from exchange.client.errors import (
    BadInput,
    ConnectionLost,
    ExchangeError,
    OrderRejected,
    OutcomeUnknown,
    RequestRefused,
    Timeout,
)
from exchange.client.feed_wire import curve_keys
from exchange.client.money import yuan
from exchange.client.sync import SyncExchange as Client
from exchange.client.sync import connect_sync
from exchange.client.tickets import OrderTicket
from exchange.config import Settings
from exchange.crowd import Crowd, Placed, Wish, firms
from exchange.instruments import Instrument, standard_catalogue
from exchange.profiles import load_profile
from exchange.protocol.acts import Admit
from exchange.server.audit import Verdict, verify
from exchange.server.folder import Folder, new_key_pair
from exchange.server.follower import Commit, Follower
from exchange.server.founding import AUDITOR, OPERATOR, standard_acts, this_year, voucher
from exchange.server.settler import Settler
from exchange.server.supervisor import Supervisor
from exchange.terminal import Screen, Viewer, ended_in_good_order, warm_with_progress
from exchange.testing import OPENING, Exchange
from feeds.messages import PROGRAMMES
from feeds.subscriber import Subscriber
from settlement.report import Report, settlement_report
from settlement.store import Store

ROUND_ORDERS = 100
"""Most orders between two looks at the clock and the screen."""

OPENING_ORDERS_MAX = 100_000
"""Every provider quotes all that it lists, before the clock runs."""

ROUNDS_A_SECOND = 30
"""How often the crowd acts: about two thousand orders a second."""

SETTLED_SECONDS_MAX = 30.0

RECOVERED_SECONDS_MAX = 60.0

AnswerT = TypeVar("AnswerT")


_REDEEMED = """
select count(*), coalesce(sum(lots), 0), coalesce(sum(vested), 0) from redemptions where state = 'confirmed'
"""


class Redeemed(NamedTuple):
    """How many redemptions were confirmed, of how many lots, and what programmes vested by them, in hao."""

    redemptions: int
    lots: int
    vested: int


class Result(msgspec.Struct, frozen=True):
    """What a demo's market did, and whether its books balance. Money in hao."""

    report: Report
    redeemed: Redeemed
    verdict: Verdict
    models: int
    agents: int
    compute: int
    members: int

    @property
    def balanced(self) -> bool:
        """Whether every asset sums to zero and every budget sums."""
        return self.report.balanced

    @property
    def rebuilt_equal(self) -> bool:
        """Whether the store equals the one rebuilt from the journal, and replay the live state."""
        return self.verdict.ok and not self.verdict.told

    def facts(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return {
            "models": self.models,
            "agents": self.agents,
            "compute": self.compute,
            "members": self.members,
            "orders": self.report.orders,
            "trades": self.report.trades,
            "subsidised_trades": self.report.subsidised_trades,
            "subsidy_hao": self.report.subsidy,
            "redemptions": self.redeemed.redemptions,
            "redeemed_lots": self.redeemed.lots,
            "vested_hao": self.redeemed.vested,
            "turnover_hao": self.report.turnover,
            "fees_hao": self.report.fees,
            "commands": self.verdict.commands,
            "balanced": self.balanced,
            "rebuilt_equal": self.rebuilt_equal,
            "differences": [*self.report.differences, *self.verdict.differences],
            "state_hash": f"{self.verdict.state_hash:016x}",
        }


class ClientDesk:
    """Places the crowd's orders through the members' own clients; keeps who was answered what."""

    def __init__(self, clients: dict[str, Client], symbols: list[str]) -> None:
        self.answers: list[tuple[int, str, str]] = []
        self._clients = clients
        self._symbols = symbols

    def place(self, member: str, wishes: list[Wish]) -> list[Placed]:
        """Place the orders of one member, in one message."""
        tickets = [
            OrderTicket(
                self._symbols[wish.instrument],
                wish.side,
                wish.quantity,
                wish.price,
                wish.programme,
                wish.time_in_force,
                type=wish.type,
                stop_price=wish.stop_price,
                display_quantity=wish.display_quantity,
            )
            for wish in wishes
        ]
        client, ids = self._clients[member], [wish.client_id for wish in wishes]
        outcomes = insisted(lambda: client.place_all(tickets, client_ids=ids))
        placed = []
        for outcome in outcomes:
            if isinstance(outcome, Order):
                self.answers.append((outcome.id, outcome.client_id, member))
                placed.append(Placed(outcome.id, outcome.filled, outcome.leaves))
            else:
                placed.append(Placed(0, 0, 0))
        return placed

    def cancel(self, member: str, orders: list[int]) -> None:
        """Cancel orders of one member; those that have ended are refused, which is no matter here."""
        if orders:
            client = self._clients[member]
            insisted(lambda: client.cancel_all(orders))

    def replace(self, member: str, order: int, price: int, quantity: int) -> Placed:
        """Replace an order of one member; one that has ended is refused, which is no matter here."""
        client = self._clients[member]
        try:
            now = insisted(lambda: client.replace(order, price=price, quantity=quantity))
        except (OrderRejected, BadInput):
            return Placed(0, 0, 0)
        return Placed(now.id, now.filled, now.leaves)

    def redeem(self, firm: str, instrument: int, lots: int, reference: str) -> int:
        """Redeem credits of a firm; return the redemption's number, 0 if it was refused."""
        client, symbol = self._clients[firm], self._symbols[instrument]
        return _permitted(lambda: client.redeem(symbol, lots, reference))

    def deliver(self, provider: str, redemption: int) -> None:
        """Confirm that a redemption was delivered."""
        client = self._clients[provider]
        _permitted(lambda: client.deliver(redemption))

    def accept(self, firm: str, redemption: int) -> None:
        """Accept an agent's delivered task."""
        client = self._clients[firm]
        _permitted(lambda: client.accept(redemption))


def _permitted(act: Callable[[], int]) -> int:
    """Have an act done; return 0 if it was refused, perhaps because it was done before it was insisted on."""
    try:
        return insisted(act)
    except RequestRefused:
        return 0


def insisted(call: Callable[[], AnswerT]) -> AnswerT:
    """Call until the venue answers: it may be recovering, and the same ids are the same orders."""
    end = time.monotonic() + RECOVERED_SECONDS_MAX
    while True:
        try:
            return call()
        except (ConnectionLost, OutcomeUnknown, Timeout):
            if time.monotonic() >= end:
                raise


def run_timed(seconds: int, seed: int, data: Path | None, *, quiet: bool) -> Result:
    """Run a venue's processes, let the crowd trade on it, stop it, and prove its books."""
    warm_with_progress()
    with ended_in_good_order(), _folder(data) as root:
        folder = Folder(root)
        members = [OPERATOR, AUDITOR, *_providers(), *(firm.member for firm, _ in firms())]
        keys = [new_key_pair(member) for member in members]
        folder.found(standard_acts(firms(), keys, [voucher(this_year())]), keys)
        supervisor = Supervisor(folder, Settings(), told=lambda line: click.echo(line, err=True))
        try:
            supervisor.start()
            _trade(folder, supervisor, seconds, seed, quiet=quiet)
            _wait_until_settled(folder)
        finally:
            supervisor.stop()
        return _settled(folder)


def trade_on(root: Path, seconds: int, seed: int) -> None:
    """Let the crowd trade on a venue that runs already; note every answer in its `answers.csv`."""
    folder = Folder(root)
    _trade(folder, None, seconds, seed, quiet=False)


def run_counted(orders: int, seed: int, data: Path | None, *, quiet: bool) -> Result:
    """Trade so many orders in this process, on a fake clock: the seed alone decides all of it."""
    warm_with_progress()
    catalogue = standard_catalogue()
    with _folder(data) as root:
        folder = Folder(root)
        acts = standard_acts(firms(), [], [voucher(OPENING.year)])
        folder.found(acts, [])
        venue = Exchange(acts, folder=folder.journal)
        admitted = venue.engine.registry.members
        _house, *people = admitted  # nobody speaks for the house
        clients = {one.member: venue.connect(one.member) for one in people}
        desk = ClientDesk(clients, [instrument.symbol for instrument in catalogue])
        crowd = Crowd(seed, list(catalogue), admitted, voucher(OPENING.year).code)
        crowd.open_market(desk, orders)
        next_line = 0
        while crowd.placed < orders:
            crowd.play_round(desk, min(ROUND_ORDERS, orders - crowd.placed))
            if not quiet and crowd.placed >= next_line:
                next_line += max(orders // 4, 1)
                click.echo(f"{crowd.placed} of {orders} orders placed")
        commit = Commit(venue.journal.sequence, venue.journal.position)
        store = Store.open(folder.settlement)
        settler = Settler(Follower(folder.journal), store, note=lambda _: None)
        settler.settle(commit)
        settler.flush()
        store.close()
        for client in clients.values():
            client.close()
        venue.journal.close()
        return _settled(folder)


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """Yield the folder to keep, or one that is thrown away afterwards."""
    if data is not None:
        yield data
        return
    scratch = Path(tempfile.mkdtemp(prefix="bourse-demo-"))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _providers() -> list[str]:
    return sorted({instrument.provider for instrument in standard_catalogue()})


def _trade(folder: Folder, supervisor: Supervisor | None, seconds: int, seed: int, *, quiet: bool) -> None:
    """Connect everybody, and let the crowd act until the time is up, with a screen to watch."""
    auditor = load_profile(folder.profile(AUDITOR))
    with _clients(folder) as clients:
        watcher = clients[AUDITOR]
        listed: list[Instrument] = [one.listing for one in watcher.instruments.values()]
        symbols = [instrument.symbol for instrument in listed]
        programme = next(iter(watcher.programmes))
        members = [
            Admit(member=name, role=client.role)  # type: ignore[arg-type]
            for name, client in clients.items()
        ]
        crowd = Crowd(seed, listed, members, programme, run=f"{time.time_ns() >> 20:x}")
        desk = ClientDesk(clients, symbols)
        screen = Screen(symbols, f"Tokenbourse · {len(symbols)} instruments · {len(clients)} members")
        viewer = Viewer(screen, quiet=quiet)
        endpoints = auditor.endpoints
        with (
            zmq.Context() as context,
            Subscriber(
                context, endpoints.feed, endpoints.refresh, range(len(symbols)), curve_keys(auditor)
            ) as feed,
        ):
            feed.listen(PROGRAMMES)
            try:
                crowd.open_market(desk, OPENING_ORDERS_MAX)
                end = time.monotonic() + seconds
                next_status = 0.0
                while (now := time.monotonic()) < end:
                    crowd.play_round(desk, ROUND_ORDERS)
                    screen.orders = crowd.placed
                    screen.hear(feed.poll(0))
                    if now >= next_status:
                        next_status = now + 1.0
                        if supervisor is not None:
                            supervisor.look_after()
                    viewer.show(feed.books, end - now)
                    time.sleep(max(0.0, 1 / ROUNDS_A_SECOND - (time.monotonic() - now)))
            finally:
                viewer.close()
                _write_answers(folder.root / "answers.csv", desk.answers)


@contextmanager
def _clients(folder: Folder) -> Iterator[dict[str, Client]]:
    """Yield a connected client of every member whose profile lies in the folder."""
    clients: dict[str, Client] = {}
    try:
        for path in sorted(folder.keys.glob("*.toml")):
            profile = load_profile(path)
            clients[profile.member] = connect_sync(profile)
        yield clients
    finally:
        for client in clients.values():
            client.close()


def _write_answers(path: Path, answers: list[tuple[int, str, str]]) -> None:
    """Write every order that was answered, for `bourse verify --answers`."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("order", "client_id", "member"))
        writer.writerows(answers)


def _wait_until_settled(folder: Folder) -> None:
    """Wait until the store has come as far as the sequencer."""
    with connect_sync(load_profile(folder.profile(AUDITOR))) as auditor:
        target = auditor.status().sequence
        end = time.monotonic() + SETTLED_SECONDS_MAX
        while time.monotonic() < end:
            row = auditor.history.sql("select sequence from watermark").rows()[0]
            if int(row["sequence"]) >= target:
                return
            time.sleep(0.02)
    message = f"the settlement is not at sequence {target} after {SETTLED_SECONDS_MAX} s"
    raise ExchangeError(message)


def _settled(folder: Folder) -> Result:
    """Read the report off the store, and prove the store by the journal."""
    store = Store.open(folder.settlement)
    report = settlement_report(store)
    redeemed = Redeemed(*map(int, store.cursor().execute(_REDEEMED).fetchall()[0]))
    store.close()
    catalogue = standard_catalogue()
    kinds = [instrument.kind for instrument in catalogue]
    return Result(
        report=report,
        redeemed=redeemed,
        verdict=verify(folder),
        models=kinds.count("model"),
        agents=kinds.count("agent"),
        compute=kinds.count("compute"),
        members=len(firms()) + len(_providers()),
    )


def print_result(result: Result) -> None:
    """Print the settlement report and its proofs."""
    report = result.report
    click.echo("")
    click.echo("Settlement report")
    click.echo(f"  orders {report.orders:,}, trades {report.trades:,}, turnover {yuan(report.turnover)} yuan")
    click.echo(
        f"  fees {yuan(report.fees)} yuan, subsidy {yuan(report.subsidy)} yuan "
        f"on {report.subsidised_trades:,} trades"
    )
    redeemed = result.redeemed
    click.echo(
        f"  {redeemed.redemptions:,} redemptions of {redeemed.lots:,} lots, by which {yuan(redeemed.vested)} "
        "yuan of the subsidy are vested"
    )
    for budget in report.budgets:
        click.echo(f"    programme {budget.programme:18} {yuan(budget.paid + budget.vested):>18} yuan")
    for size in report.sizes:
        click.echo(f"    firm size {size.size:18} {yuan(size.subsidy):>18} yuan")
    click.echo("Proofs")
    click.echo(f"  every asset sums to zero, every budget sums: {_word(result.balanced)}")
    click.echo(f"  store rebuilt from the journal equals the store: {_word(result.rebuilt_equal)}")
    click.echo(f"  {result.verdict.commands:,} commands, state {result.verdict.state_hash:016x}")
    for line in (*report.differences, *result.verdict.differences, *result.verdict.told):
        click.echo(f"  ! {line}")


def _word(is_so: bool) -> str:
    return "yes" if is_so else "NO"

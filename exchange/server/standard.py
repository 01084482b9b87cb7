"""The venue that `bourse serve` founds in a new folder: the standard catalogue and its members' keys."""

from __future__ import annotations

from exchange.calendar import Calendar
from exchange.instruments import standard_catalogue
from exchange.server.folder import Folder, new_key_pair
from exchange.server.founding import (
    AUDITOR,
    OPERATOR,
    SAMPLES,
    SECOND_OPERATOR,
    calendar_acts,
    sample_terms,
    sandbox_firms,
    standard_acts,
    this_year,
)


def found_standard(folder: Folder, calendar: Calendar | None = None) -> None:
    """Found a venue with every provider of the standard catalogue, a sandbox firm and this year's programmes.

    Without a calendar it trades round the clock, and at once.
    """
    firms = sandbox_firms()
    providers = {instrument.provider for instrument in standard_catalogue()}
    members = [OPERATOR, SECOND_OPERATOR, AUDITOR, *sorted(providers), *(firm.member for firm, _ in firms)]
    keys = [new_key_pair(member) for member in members]
    acts = standard_acts(firms, keys, [sample_terms(name, this_year()) for name in SAMPLES])
    folder.found((*calendar_acts(calendar), *acts), keys)

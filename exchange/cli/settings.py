"""What a venue's operator has chosen, and where each choice comes from."""

from __future__ import annotations

import click

from exchange.cli.base import bourse, fail, print_json, print_table, venue_folder, with_json
from exchange.settings_file import SETTINGS, SettingsError, bounds, load, serving


@bourse.command(epilog="Example: bourse config data/venue")
@click.argument("folder", required=False)
@with_json
def config(folder: str | None, *, as_json: bool) -> None:
    """Show each setting of a venue: its value, where that comes from, and what it means.

    What `bourse serve` would take without options: venue.toml in the folder, and above it
    BOURSE_SECTION_NAME in the environment.
    """
    root = venue_folder(folder)
    try:
        loaded = load(root, base=serving())
    except SettingsError as error:
        fail(str(error), 2)
    if as_json:
        settings = {
            one.key: {
                "value": loaded.value(one),
                "source": loaded.source(one),
                "default": one.default,
                "variable": one.variable,
                "bounds": bounds(one),
                "meaning": one.meaning,
            }
            for one in SETTINGS.values()
        }
        print_json({"folder": str(root), "settings": settings})
        return
    print_table(
        f"settings of {root}",
        ("setting", "value", "from", "meaning"),
        [
            (one.key, loaded.value(one), loaded.source(one), one.meaning.replace("`", ""))
            for one in SETTINGS.values()
        ],
    )

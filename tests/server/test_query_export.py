"""`bourse export`: what it takes, and what it refuses before it asks anything."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from exchange.cli import bourse


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["trades", "--out", "{folder}/x.txt"], "its suffix tells the format"),
        (["trades", "--out", "{folder}/old.csv"], "is there already; add --force"),
        (["trades", "--out", "{folder}/none/x.csv"], "there is no folder"),
        (["trade", "--out", "{folder}/x.csv"], "'trade' is no table; take one of"),
        (["trades", "--interval", "1m", "--out", "{folder}/x.csv"], "--interval belongs to bars"),
        (["bars", "--interval", "7m", "--out", "{folder}/x.csv"], "there are no bars of '7m'"),
        (["trades", "--start", "soon", "--out", "{folder}/x.csv"], "start 'soon' is no point in time"),
        (["select 1", "--end", "2026-01-01", "--out", "{folder}/x.csv"], "belong to a table"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_asked(tmp_path, words, told):
    (tmp_path / "old.csv").write_text("before", "ascii")
    result = CliRunner().invoke(bourse, ["export", *(word.format(folder=tmp_path) for word in words)])
    assert result.exit_code == 2, result.output
    assert told in " ".join(result.output.split())
    assert [each.name for each in tmp_path.iterdir()] == ["old.csv"]

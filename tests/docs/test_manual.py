"""The manual is built whole, links that lead nowhere fail it, and its pages load nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

MAKEFILE = ROOT.joinpath("Makefile").read_text("utf-8")
BUILD = re.search(r"^manual:.*\n\t@\$\(BIN\)/sphinx-build (.*) \. build/manual$", MAKEFILE, re.MULTILINE)
ELSEWHERE = re.compile(r"(?:https?:)?//", re.IGNORECASE)


def build(root: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Build the manual of a checkout as `make manual` does, with pages and notes in `target`."""
    assert BUILD is not None
    options = BUILD[1].replace("build/doctrees", str(target / "doctrees")).split()
    command = [sys.executable, "-m", "sphinx", *options, ".", str(target / "pages")]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """Return the folder of the built manual."""
    target = tmp_path_factory.mktemp("manual")
    built = build(ROOT, target)
    assert built.returncode == 0, built.stderr
    return target / "pages"


class Loaded(HTMLParser):
    """Collects what a browser would fetch for a page by itself: not where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag loads."""
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster") or (name == "href" and tag == "link"):
                self.addresses.append(value or "")


def fetched(page: str) -> list[str]:
    """Return what a page would fetch from elsewhere."""
    reader = Loaded()
    reader.feed(page)
    return [address for address in reader.addresses if ELSEWHERE.match(address)]


def fetched_by_style(sheet: str) -> list[str]:
    """Return what a style sheet would fetch from elsewhere."""
    found = re.findall(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", sheet)
    return [address for address in map("".join, found) if ELSEWHERE.match(address)]


def test_every_page_is_in_the_manual(pages):
    sources = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")]
    sources += ROOT.joinpath("docs").rglob("*.md")
    for source in sources:
        assert pages.joinpath(source.relative_to(ROOT).with_suffix(".html")).exists(), source
    assert "docs/index.html" in pages.joinpath("index.html").read_text("utf-8")


def test_pages_load_nothing_from_elsewhere(pages):
    loaded = {str(page): fetched(page.read_text("utf-8")) for page in pages.rglob("*.html")}
    styles = {str(sheet): fetched_by_style(sheet.read_text("utf-8")) for sheet in pages.rglob("*.css")}
    assert len(loaded) > 20
    assert styles
    assert {where: found for where, found in (loaded | styles).items() if found} == {}


def test_what_is_loaded_from_elsewhere_is_found():
    page = '<link href="https://fonts.example/a.css"><script src="//cdn.example/a.js"></script><a href="https://b.c">'
    assert fetched(page) == ["https://fonts.example/a.css", "//cdn.example/a.js"]
    sheet = "@import 'https://a.b/c.css'; p { background: url(//a.b/d.png), url(data:image/png;base64,//x) }"
    assert fetched_by_style(sheet) == ["https://a.b/c.css", "//a.b/d.png"]


@pytest.mark.parametrize(
    "text",
    ["[gone](nowhere.md)", "[no such title](index.md#not-there)", "## Rules\n\n[gone](nowhere.md)"],
    ids=["page", "title", "contents"],
)
def test_a_link_that_leads_nowhere_fails_the_manual(tmp_path, text):
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs, ignore=shutil.ignore_patterns("*.md"))
    docs.joinpath("index.md").write_text(f"# A page\n\n{text}\n", "utf-8")
    built = build(tmp_path, tmp_path / "build")
    assert built.returncode != 0
    assert "WARNING" in built.stderr

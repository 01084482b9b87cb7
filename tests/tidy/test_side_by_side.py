"""The tests in parts: none is left out, none runs twice, and no two processes compile into one cache."""

from __future__ import annotations

import pytest

from matching.kernel import CACHE
from tests import side_by_side
from tests.side_by_side import BOOK, NO_TESTS, PACKAGES, ROOT, Kernels, Part

VENUE, OTHER = Part("venue", ("tests/client",)), Part("other", ("tests/server",))


def test_each_test_file_and_each_package_is_in_one_part():
    folders = [folder for part in side_by_side.parts() for folder in part.folders]
    assert len(folders) == len(set(folders))
    files = {str(path.relative_to(ROOT)) for path in ROOT.joinpath("tests").rglob("test_*.py")}
    assert len(files) > 100
    assert {path for path in files if "/".join(path.split("/")[:2]) not in folders} == set()
    assert set(PACKAGES) <= set(folders)


def test_what_is_named_is_there():
    folders = [folder for part in side_by_side.parts() for folder in part.folders]
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


def test_no_two_processes_have_one_cache(tmp_path):
    kernels = Kernels(tmp_path / "kernels")
    stored = kernels.home / CACHE.name / "exchange_1"
    stored.mkdir(parents=True)
    for name in ("run.nbi", "run.1.nbc", "run.2.nbc.tmp.5f"):
        (stored / name).write_text(name)
    with kernels.of(BOOK) as book, kernels.of(VENUE) as venue, kernels.of(OTHER) as other:
        assert len({book, venue, other}) == 3
        assert venue == kernels.home
        copied = other / CACHE.name / "exchange_1"
        assert sorted(path.name for path in copied.iterdir()) == ["run.1.nbc", "run.nbi"]
        copied.joinpath("run.nbi").write_text("another")
        assert stored.joinpath("run.nbi").read_text() == "run.nbi"
    assert not other.exists()
    with kernels.of(OTHER) as alone:
        assert alone == kernels.home


@pytest.mark.parametrize(
    ("test", "code", "returned"),
    [("def test(): assert 1 == 1", 0, 0), ("def test(): assert 1 == 2", 1, 1), ("", NO_TESTS, 0)],
)
def test_a_part_that_fails_is_told_and_one_without_tests_is_no_failure(
    tmp_path, monkeypatch, test, code, returned
):
    monkeypatch.setattr(side_by_side, "ROOT", tmp_path)
    folder = tmp_path / "tests" / "some"
    folder.mkdir(parents=True)
    folder.joinpath("test_one.py").write_text(test)
    said: list[str] = []
    part = Part("some", ("tests/some", "tests/never_made"))
    alone = ["-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(tmp_path)]
    assert side_by_side.run(part, alone, tmp_path, said.append) == returned
    assert f"exit code {code}\n" in said[-1]
    assert ("assert 1 == 2" in said[-1]) == (code == 1)


def test_one_part_that_fails_fails_all(monkeypatch, capsys):
    codes = {"book": 1, "server": 0}
    every = [Part(name, ()) for name in codes]
    monkeypatch.setattr(side_by_side, "parts", lambda: every)
    monkeypatch.setattr(side_by_side, "run", lambda part, *_: codes[part.name])
    assert side_by_side.main(["-m", "slow"]) == 1
    assert capsys.readouterr().out == "failed: book\n"
    codes["book"] = 0
    assert side_by_side.main([]) == 0

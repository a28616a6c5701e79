"""Artifacts are whole or absent, found again by content, and pruned by age."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sim.cache import KEY_FILE, Cache
from sim.errors import CacheError


def test_built_once(tmp_path: Path) -> None:
    cache, built = Cache(tmp_path), []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "x").write_text("1")

    first = cache.get("thing", {"a": 1}, build)
    assert cache.get("thing", {"a": 1}, build) == first
    assert cache.get("thing", {"a": 2}, build) != first
    assert len(built) == 2
    assert (first / "x").read_text() == "1"


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        Cache(tmp_path).get("thing", {}, build)
    assert list((tmp_path / "thing").iterdir()) == []


def test_the_faster_of_two_builders_wins(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def slow(folder: Path) -> None:
        cache.get("thing", {}, lambda other: (other / "x").write_text("fast") and None)
        (folder / "x").write_text("slow")

    assert (cache.get("thing", {}, slow) / "x").read_text() == "fast"
    assert len(list((tmp_path / "thing").iterdir())) == 1


def test_prune_by_last_use(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    old = cache.get("thing", {"age": "old"}, lambda folder: None)
    new = cache.get("thing", {"age": "new"}, lambda folder: None)
    left = tmp_path / "thing" / ".making-left"
    left.mkdir()
    long_ago = time.time() - 40 * 86400
    for path in (old / KEY_FILE, left):
        os.utime(path, (long_ago, long_ago))
    assert [entry.path for entry in cache.prune(unused_days=30)] == [old]
    assert not old.exists()
    assert not left.exists()
    assert new.exists()


def test_an_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match=r"the cache cannot be written .*; set ICIIA_CACHE"):
        Cache(tmp_path / "file").get("thing", {}, lambda folder: None)


def test_scratch_is_found_again_after_a_death(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def die() -> None:
        with cache.scratch("module", {}) as first:
            (first / "checkpoint.pt").write_text("half way")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        die()
    with cache.scratch("module", {}) as second:
        assert (second / "checkpoint.pt").read_text() == "half way"
    with cache.scratch("module", {}) as third:
        assert list(third.iterdir()) == []


def test_two_that_make_the_same_do_not_share_scratch(tmp_path: Path) -> None:
    """The second has a folder of its own, and finishing it takes nothing from the first."""
    cache = Cache(tmp_path)
    with cache.scratch("module", {}) as first:
        (first / "checkpoint.pt").write_text("of the first")
        with Cache(tmp_path).scratch("module", {}) as second:
            assert list(second.iterdir()) == []
            (second / "checkpoint.pt").write_text("of the second")
        assert not second.exists()
        assert (first / "checkpoint.pt").read_text() == "of the first"
        cache.get("module", {}, lambda folder: None)
        assert (first / "checkpoint.pt").read_text() == "of the first"


def test_the_scratch_of_a_killed_process_is_taken_up(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from sim.cache import Cache\n"
        f"with Cache(Path({str(tmp_path)!r})).scratch('module', {{}}) as folder:\n"
        "    (folder / 'checkpoint.pt').write_text('half way'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    with Cache(tmp_path).scratch("module", {}) as folder:
        assert (folder / "checkpoint.pt").read_text() == "half way"

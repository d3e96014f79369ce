"""The store of what was computed from sounds: nothing is lost, nothing damaged is believed."""

import logging
import multiprocessing

import numpy as np
import pytest

from noencore.embeddings import store
from noencore.embeddings.store import Store


def open_store(directory, columns=3, dtype=np.float32):
    return Store(directory, columns, dtype)


def value(number, rows=2):
    return np.full((rows, 3), number, np.float32)


def test_what_was_put_is_there_the_next_time(tmp_path):
    with open_store(tmp_path) as first:
        assert first.get("a") is None
        first.put("a", value(1))
        np.testing.assert_array_equal(first.get("a"), value(1))
    second = open_store(tmp_path)
    np.testing.assert_array_equal(second.get("a"), value(1))
    assert second.get("b") is None


def test_a_job_that_fails_keeps_what_it_had(tmp_path):
    def fail():
        with open_store(tmp_path) as kept:
            kept.put("a", value(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert open_store(tmp_path).get("a") is not None


def test_many_values_are_written_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "AT_ONCE", 2)
    kept = open_store(tmp_path)
    for number in range(5):
        kept.put(str(number), value(number))
    assert [open_store(tmp_path).get(str(number)) is not None for number in range(5)] == [True] * 4 + [False]


@pytest.mark.parametrize("damage", [lambda held: held[:-20], lambda held: b"nonsense", lambda held: b""])
def test_a_file_that_is_cut_off_or_nonsense_is_deleted_with_a_warning(tmp_path, damage, caplog):
    with open_store(tmp_path) as kept:
        kept.put("a", value(1))
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert open_store(tmp_path).get("a") is None
    assert f"{path}: damaged" in caplog.text
    assert not path.exists()


def test_a_changed_value_is_not_believed_and_its_neighbours_are(tmp_path, caplog):
    with open_store(tmp_path) as kept:
        kept.put("a", value(1))
        kept.put("b", value(2))
    (path,) = tmp_path.glob("*.safetensors")
    held = path.read_bytes()
    assert held.count(value(2).tobytes()) == 1
    path.write_bytes(held.replace(value(2).tobytes(), value(3).tobytes()))
    with caplog.at_level(logging.WARNING), open_store(tmp_path) as again:
        assert again.get("a") is not None
        assert again.get("b") is None
        again.put("b", value(2))
    assert "damaged and computed again" in caplog.text
    np.testing.assert_array_equal(open_store(tmp_path).get("b"), value(2))


def test_values_of_another_width_or_type_are_not_taken(tmp_path):
    with open_store(tmp_path) as kept:
        kept.put("a", value(1))
    assert open_store(tmp_path, columns=4).get("a") is None
    assert open_store(tmp_path, dtype=np.int64).get("a") is None


def test_no_rows_are_a_value(tmp_path):
    """A silent clip has no landmarks, which is not to be found out again."""
    with open_store(tmp_path, 2, np.int64) as kept:
        kept.put("silence", np.zeros((0, 2)))
    assert open_store(tmp_path, 2, np.int64).get("silence").shape == (0, 2)


def _write(directory, numbers):
    for number in numbers:
        with open_store(directory) as kept:
            kept.put(str(number), value(number))


def test_two_processes_on_one_store(tmp_path):
    """Both write the same and different values at once."""
    spawn = multiprocessing.get_context("fork")
    processes = [spawn.Process(target=_write, args=(tmp_path, range(start, start + 12))) for start in (0, 6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    kept = open_store(tmp_path)
    for number in range(18):
        np.testing.assert_array_equal(kept.get(str(number)), value(number))
    assert not list(tmp_path.glob(".*.tmp"))

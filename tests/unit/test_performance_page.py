"""docs/performance.md says what benchmarks/results/ holds."""

import pytest

from benchmarks import table


def test_the_tables_are_those_of_the_last_results(monkeypatch, tmp_path):
    written = table.PAGE.read_text()
    page = tmp_path / "performance.md"
    page.write_text(written)
    monkeypatch.setattr(table, "PAGE", page)
    table.main()
    assert page.read_text() == written


@pytest.mark.parametrize(("value", "text"), [(0.123, "0.12"), (4.567, "4.57"), (12.34, "12.3"), (1234.5, "1234")])
def test_a_number_has_about_three_digits(value, text):
    assert table.number(value) == text

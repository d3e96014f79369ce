"""The pages of docs/ say what benchmarks/results/ holds."""

import pytest

from benchmarks import table


def test_the_tables_are_those_of_the_last_results(monkeypatch, tmp_path):
    copies = [tmp_path / page.name for page in table.PAGES]
    for copy, page in zip(copies, table.PAGES):
        copy.write_text(page.read_text())
    assert [name for name in table.TABLES if not any(f"<!-- {name} -->" in copy.read_text() for copy in copies)] == []
    monkeypatch.setattr(table, "PAGES", copies)
    table.main()
    for copy, page in zip(copies, table.PAGES, strict=True):
        assert copy.read_text() == page.read_text()


@pytest.mark.parametrize(("value", "text"), [(0.123, "0.12"), (4.567, "4.57"), (12.34, "12.3"), (1234.5, "1234")])
def test_a_number_has_about_three_digits(value, text):
    assert table.number(value) == text

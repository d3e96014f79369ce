"""ABC tunes as they are played: repeats opened and played out, ties joined, grace notes paid for by the next note."""

import pytest

from noencore.catalogue.abc import GRACE_QUARTERS, LONGEST_QUARTERS, Tune, open_repeats, read_collection, read_notes
from noencore.errors import UserError

HEAD = "X:1\nT:A tune\nM:4/4\nL:1/8\nK:C\n"


def tune(body, head=HEAD):
    return Tune("book", "1", "A tune", "", "", "4/4", "C", head + body + "\n")


def letters(body):
    """The pitches of a tune as letters, in the order in which they are played. music21 wants two plain bar lines."""
    names = dict(zip((60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79, 81, 83), "CDEFGABcdefgab", strict=True))
    return "".join(names[pitch] for _, _, pitch, _ in read_notes(tune(body)))


@pytest.mark.parametrize(
    ("written", "played"),
    [
        ("ABcd|efga|", "ABcdefga"),
        ("ABcd|efga|gfed:|", "ABcdefgagfed" * 2),
        ("|:ABcd|efga|gfed:|", "ABcdefgagfed" * 2),
        ("ABcd|efga:|gfed|dcBA:|", "ABcdefga" * 2 + "gfeddcBA" * 2),
        ("ABcd|efga:|gfed|dcBA:|CDEF|GABc:|", "ABcdefga" * 2 + "gfeddcBA" * 2 + "CDEFGABc" * 2),
        ("ABcd|efga::gfed|dcBA:|", "ABcdefga" * 2 + "gfeddcBA" * 2),
        ("|:ABcd|efga:|:gfed|dcBA:|", "ABcdefga" * 2 + "gfeddcBA" * 2),
        ("ABcd|efga||gfed|dcBA:|", "ABcdefga" + "gfeddcBA" * 2),
        ("|:ABcd|efga||gfed:|dcBA|", "ABcdefgagfed" * 2 + "dcBA"),
        ("ABcd|1efga:|2gfed|]", "ABcdefgaABcdgfed"),
        ("ABcd|1efga:|2gfed||dcBA|CDEF:|", "ABcdefgaABcdgfed" + "dcBACDEF" * 2),
        ('"D:|"ABcd|efga|', "ABcdefga"),
    ],
)
def test_parts_are_played_as_often_as_written(written, played):
    assert letters(written) == played


def test_notes_follow_one_another_without_a_gap_or_an_overlap():
    notes = read_notes(tune("A2Bc|{d}e4|1(3fgaf2:|2g3a|]"))
    assert [onset for onset, *_ in notes[1:]] == pytest.approx([onset + length for onset, length, *_ in notes[:-1]])


@pytest.mark.parametrize("body", ["ABcd|efga:|gfed|dcBA:|", "|:ABcd|efga:|", "A::B:|", "A:|]B||C:|", '"C:|"A|'])
def test_every_repeat_has_its_opening(body):
    opened = open_repeats(tune(body).text).replace('"C:|"', "")
    assert opened.count("|:") == opened.count(":|")


@pytest.mark.parametrize("body", ["|:ABcd||efga:|gfed|", '|:ABcd|efga"D.C."[|]:|', "|:A|1B:|2C|]", '"C:|"A|', "ABcd|"])
def test_a_tune_whose_repeats_are_open_is_left_alone(body):
    assert open_repeats(tune(body).text) == tune(body).text


def test_headers_are_left_alone():
    head = HEAD.replace("A tune", "The :| of it")
    assert open_repeats(tune("ABcd:|", head).text) == head + "|:ABcd:|\n"


def test_a_grace_note_takes_its_time_from_the_next_note():
    assert read_notes(tune("A4{c}B4|A8|")) == [
        (0.0, 2.0, 69, False),
        (2.0, GRACE_QUARTERS, 72, True),
        (2.0 + GRACE_QUARTERS, 2.0 - GRACE_QUARTERS, 71, False),
        (4.0, 4.0, 69, False),
    ]


@pytest.mark.parametrize("graces", ["", "{c}", "{cd}", "{cdefgabag}"])
def test_grace_notes_leave_the_total_time_unchanged(graces):
    notes = read_notes(tune(f"A7{graces}B|A8|"))
    assert notes[-1][0] + notes[-1][1] == 8.0
    assert sum(length for _, length, *_ in notes) == pytest.approx(8.0)
    assert sum(grace for *_, grace in notes) == max(0, len(graces) - 2)
    decorated = next(note for note in notes if note[2] == 71 and not note[3])
    assert decorated[1] >= 0.25  # graces never take more than half of an eighth


@pytest.mark.parametrize(("written", "lengths"), [("A4-A4|B8|", [4, 4]), ("A8-|A8-|A4B4|", [10, 2]), ("A4A4|", [2, 2])])
def test_tied_notes_are_one_and_repeated_notes_are_two(written, lengths):
    assert [length for _, length, *_ in read_notes(tune(written + "B8|"))] == [*lengths, 4]


def test_of_a_chord_the_top_note_is_kept():
    assert read_notes(tune("[CEG]4[Gc]4|A8|"))[:2] == [(0.0, 2.0, 67, False), (2.0, 2.0, 72, False)]


def test_the_key_sharpens_notes():
    sharp = read_notes(tune("F4=F4|F8|", HEAD.replace("K:C", "K:D")))
    assert [pitch for _, _, pitch, _ in sharp] == [66, 65, 66]


@pytest.mark.parametrize(
    ("body", "head", "reason"),
    [
        ("ABcd|", "no header at all\n", "music21 cannot read it: AttributeError"),
        ("z8|z8|", HEAD, "no notes"),
        ("A8|" * (LONGEST_QUARTERS // 4 + 2), HEAD, "longer than 800 quarter notes"),
    ],
)
def test_an_unreadable_tune_has_a_reason_of_one_line(body, head, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        read_notes(tune(body, head))
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def oneill():
    return read_collection("oneills1850")


def test_oneill_has_2009_entries_each_with_its_own_id(oneill):
    assert len(oneill) == 2009
    assert len({tune.work_id for tune in oneill}) == 2009


def test_oneill_names_ocarolan_over_65_tunes(oneill):
    assert sum(tune.composer == "O'Carolan" for tune in oneill) == 65


def test_headers_are_read_without_quotes_and_spaces(oneill):
    for found in oneill:
        for value in (found.title, found.composer, found.rhythm, found.metre, found.key):
            assert value == value.strip(' "\r\n')
    assert all(found.key and found.text.startswith("X:") for found in oneill)


def test_reading_again_gives_the_same_tunes_in_the_same_order(oneill):
    assert read_collection("oneills1850") == oneill


def test_a_collection_that_is_not_there_is_named():
    with pytest.raises(UserError, match="nobody: no ABC files here"):
        read_collection("nobody")

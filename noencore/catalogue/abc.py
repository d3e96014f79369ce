"""Tunes in ABC notation from music21's corpus, read at run time from the installed package.

Headers are read here; the notes are music21's work: accidentals, tuplets, ties, repeats with their endings, grace
notes.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from noencore.errors import UserError

LONGEST_QUARTERS = 800
GRACE_QUARTERS = 0.125  # what a grace note takes from the note that it decorates, in quarter notes


@dataclass(frozen=True)
class Tune:
    """One tune of a collection: its headers and its ABC text."""

    collection: str
    number: str
    title: str
    composer: str
    rhythm: str
    metre: str
    key: str
    text: str

    @property
    def work_id(self):
        return f"{self.collection}-{self.number}"


def read_collection(name):
    """All tunes of a directory of music21's corpus, in file order, as a list of Tune."""
    import music21

    directory = Path(music21.__file__).parent / "corpus" / name
    files = sorted(directory.glob("*.abc"))
    if not files:
        raise UserError(f"{directory}: no ABC files here; reinstall music21 with `make setup`")
    tunes = []
    for file in files:
        body = file.read_text(encoding="utf-8", errors="replace")
        for index, text in enumerate(re.split(r"(?m)^(?=X:)", body)[1:]):
            tunes.append(_tune(name, f"{file.stem}.{index + 1:03d}", text))
    return tunes


def _tune(collection, number, text):
    def header(letter):
        found = re.search(rf"(?m)^{letter}:[ \t]*(.*?)[ \t]*$", text)
        return re.sub(r"\s+", " ", found.group(1)).strip('" ') if found else ""

    return Tune(
        collection=collection,
        number=re.sub(r"[^A-Za-z0-9.]", "", number),
        title=header("T"),
        composer=header("C"),
        rhythm=header("R").lower(),
        metre=header("M"),
        key=header("K"),
        text=text,
    )


def read_notes(tune):
    """The melody of a tune as it is played: a list of (onset, length, MIDI pitch, is_grace), times in quarter notes.

    Repeats are played out with their endings, tied notes joined; of a chord the top note is kept; a grace note takes
    GRACE_QUARTERS from the note after it. Raises ValueError with a reason where music21 cannot read the tune.
    """
    import music21

    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            score = music21.converter.parse(open_repeats(tune.text), format="abc")
            part = score.parts[0] if len(score.parts) else score
            with contextlib.suppress(music21.repeat.ExpanderException):
                part = part.expandRepeats()
            melody = part.stripTies().flatten().notes
            events = [(float(n.offset), n) for n in melody if n.isNote or n.isChord]
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:80]
        raise ValueError(f"music21 cannot read it: {type(error).__name__} {reason}".strip()) from None
    return _play(events)


def open_repeats(text):
    """Give every `:|` in an ABC text the `|:` that it answers.

    Collections leave the opening sign out where a part starts the tune or follows another part. music21 would then
    repeat from the very beginning each time, and a tune of six parts grows to thousands of bars.
    """
    head, body = re.match(r"(?s)(.*?^K:[^\n]*\n)(.*)", text, re.MULTILINE).groups()
    pieces, start, opened = [], 0, False
    position = 0
    for sign in re.finditer(r'"[^"\n]*"|::|:\|:|\|:|:\|\]?|\|\||\|\]', body):
        token = sign.group()
        if token.startswith('"'):
            continue
        pieces.append(body[position : sign.start()])
        position = sign.end()
        if token.startswith(":") and not opened:
            pieces.insert(start, "|:")
        pieces.append(":||:" if token in ("::", ":|:") else token)
        opened = token in ("::", ":|:", "|:") or (opened and not token.startswith(":"))
        start = len(pieces)
    return head + "".join([*pieces, body[position:]])


def _play(events):
    notes, graces = [], []
    for onset, event in events:
        pitch = max(p.midi for p in event.pitches)
        if event.duration.isGrace:
            graces.append(pitch)
            continue
        length = float(event.duration.quarterLength)
        if length <= 0 or (notes and onset < notes[-1][0]):
            continue
        step = min(GRACE_QUARTERS, length / 2 / len(graces)) if graces else 0.0
        for index, grace in enumerate(graces):
            notes.append((onset + index * step, step, grace, True))
        taken = step * len(graces)
        notes.append((onset + taken, length - taken, pitch, False))
        graces = []
    if not notes:
        raise ValueError("no notes")
    if notes[-1][0] > LONGEST_QUARTERS:
        raise ValueError(f"longer than {LONGEST_QUARTERS} quarter notes: its repeats do not resolve")
    return notes

"""What the paper's preset reads, at toy size: MusicCaps' table, a rights holder's list, and the sites that they name.

The sites misbehave as real ones do: LOST has what becomes of bad rows, as title -> (status, words of the reason).
"""

import csv
import io

import pandas as pd
import soundfile
from own_audio import melody, write
from standins import CAPTIONS
from websites import Answer

RATE = 16000
HEAD = [
    *("ytid", "start_s", "end_s", "audioset_positive_labels", "aspect_list", "caption", "author_id"),
    *("is_balanced_subset", "is_audioset_eval"),
]
SEGMENT = (2, 12)  # s
VIDEO_SECONDS, TRACK_SECONDS = 13, 2
TRAIN, EVAL = 20, 13  # good videos of either part of AudioSet
LOCAL, STOCK = 14, 16  # good tracks on the disk, and on the stock site
LOST = {
    "musiccaps": {
        "slow-abcdef": ("timeout", "not had within"),
        "dead-abcdef": ("connection", "onnection"),
        "cut--abcdef": ("truncated", "more expected"),
        "busy-abcdef": ("throttled", "429"),
        "html-abcdef": ("wrong_type", "Unsupported URL"),
        "gone-abcdef": ("gone", "404"),
    },
    "pond5": {
        "Slow": ("timeout", "not had within"),
        "Dead": ("connection", "onnection"),
        "Cut": ("truncated", "bytes came"),
        "Busy": ("throttled", "429"),
        "Html": ("wrong_type", "text/html where audio should be"),
        "Expired": ("forbidden", "403"),
        "Absent": ("missing", "no such file"),
    },
}
FETCH = {"pause": 0.0, "backoff": 0.01, "retries": 1, "timeout": 20, "min_share": 0.7}


def good_videos():
    """Ids of eleven characters; the first EVAL are of AudioSet's evaluation part."""
    return [f"good{number:02}_-abc" for number in range(EVAL + TRAIN)]


def write_tables(folder, site):
    """Write musiccaps-public.csv, pond5.csv and pond5/ to a folder, and serve what they name at a site.

    Returns the address of the video site's pages, with {ytid} in it.
    """
    _write_musiccaps(folder / "musiccaps-public.csv")
    for number, name in enumerate(good_videos()):
        first = {0: [Answer(status=429)], 1: [Answer(dead=True)]}.get(number, [])
        site.serve(f"/watch/{name}", *first, Answer(_track(number, VIDEO_SECONDS), pause=0.05 * (number == 2)))
    _serve_bad(site, "/watch/{}-abcdef", _track(80, VIDEO_SECONDS), {"slow", "dead", "cut-", "busy", "html"})

    for number in range(LOCAL):
        write(folder / "pond5" / f"{number:02}.wav", melody(TRACK_SECONDS, 100 + number, RATE), RATE)
    for number in range(STOCK):
        track = Answer(_track(200 + number, TRACK_SECONDS), pause=0.05 * (number == 2))
        first = {0: [Answer(status=429, headers={"Retry-After": "0"})], 1: [Answer(dead=True)]}.get(number, [])
        site.serve(f"/stock/{number:02}.flac", *first, track)
    _serve_bad(site, "/stock/{}.flac", _track(81, TRACK_SECONDS), {"Slow", "Dead", "Cut", "Busy", "Html"})
    site.serve("/stock/Expired.flac", Answer(status=403))
    _write_pond5(folder / "pond5.csv", site)
    return site.url + "/watch/{ytid}"


def _serve_bad(site, path, body, names):
    answers = {
        "slow": [Answer(status=429), Answer(body, pause=1.5)],  # the time limit is waited for once
        "dead": [Answer(dead=True)],
        "cut": [Answer(body[: len(body) // 2], said=len(body))],
        "busy": [Answer(status=429)],
        "html": [Answer(b"<html><body>please sign in</body></html>", "text/html")],
    }
    for name in names:
        site.serve(path.format(name), *answers[name.strip("-").lower()])


def _write_musiccaps(path):
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEAD)
        for number, name in enumerate([*good_videos(), *LOST["musiccaps"]]):
            aspects = "['low quality', 'fiddle', \"a dancer's tune\"]"
            caption = f"The low quality recording features this: {CAPTIONS[7 * number]}"
            of_eval = str(number < EVAL)
            table.writerow([name, *SEGMENT, "/m/0140xf,/m/02cjck", aspects, caption, number % 10, "False", of_eval])


def _write_pond5(path, site):
    local = [f"{number:02}" for number in range(LOCAL)]
    far = [*(f"{number:02}" for number in range(STOCK)), *(name for name in LOST["pond5"] if name != "Absent")]
    rows = [(f"{name}.wav", f"Local {name}", "") for name in local]
    rows += [("Absent.wav", "Absent", "")]
    rows += [(f"{name}.flac", name, f"{site.url}/stock/{name}.flac?ticket=secret") for name in far]
    table = pd.DataFrame(rows, columns=["OriginalFilename", "Title", "URL"])
    table["Description"] = [f"A slow air, {title}, for whistle and harp." for title in table["Title"]]
    table["Keywords"], table["Copyright"], table["Price"] = "air, whistle, calm", "A. Holder", "49"
    table.to_csv(path, index=False)


def _track(seed, seconds):
    """The bytes of a flac file."""
    file = io.BytesIO()
    soundfile.write(file, melody(seconds, seed, RATE), RATE, "PCM_16", format="FLAC")
    return file.getvalue()
